import requests

session = requests.Session()


def fetch(method, path, body=None):
    response = session.request(method, ROOT + path, data=body, timeout=20)
    return response.status_code, response.content


assert fetch("GET", "/") == (200, b"hello")
# The snapshot is taken here.
run(fetch)
