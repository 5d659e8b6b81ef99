import urllib3

pool = urllib3.PoolManager()


def fetch(method, path, body=None):
    response = pool.request(method, ROOT + path, body=body, timeout=20)
    return response.status, response.data


assert fetch("GET", "/") == (200, b"hello")
# The snapshot is taken here.
run(fetch)
