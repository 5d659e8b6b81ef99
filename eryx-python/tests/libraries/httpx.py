import httpx

client = httpx.Client(follow_redirects=True)
TIMEOUT = httpx.ReadTimeout
TLS_FAILURE = REFUSED = httpx.ConnectError
KEEPS_CONNECTIONS = True


def get(path, timeout=5):
    response = client.get(path if "://" in path else ROOT + path, timeout=timeout)
    return response.status_code, response.content


def post(path, json=None, content=None):
    response = client.post(ROOT + path, json=json, content=content, timeout=5)
    return response.status_code, response.content
