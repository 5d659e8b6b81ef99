import requests

session = requests.Session()
TIMEOUT = requests.exceptions.ReadTimeout
TLS_FAILURE = requests.exceptions.SSLError
REFUSED = requests.exceptions.ConnectionError
KEEPS_CONNECTIONS = True


def get(path, timeout=5):
    response = session.get(path if "://" in path else ROOT + path, timeout=timeout)
    return response.status_code, response.content


def post(path, json=None, content=None):
    response = session.post(ROOT + path, json=json, data=content, timeout=5)
    return response.status_code, response.content
