import urllib3

pool = urllib3.PoolManager()
TIMEOUT = urllib3.exceptions.ReadTimeoutError
TLS_FAILURE = REFUSED = urllib3.exceptions.MaxRetryError
KEEPS_CONNECTIONS = True


def get(path, timeout=5):
    url = path if "://" in path else ROOT + path
    response = pool.request(
        "GET", url, timeout=timeout, retries=urllib3.Retry(5, connect=0, read=False)
    )
    return response.status, response.data


def post(path, json=None, content=None):
    response = pool.request("POST", ROOT + path, json=json, body=content, timeout=5)
    return response.status, response.data
