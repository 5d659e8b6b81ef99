import gzip
import json as json_module
import urllib.error
import urllib.request

TIMEOUT = TimeoutError
TLS_FAILURE = REFUSED = urllib.error.URLError
KEEPS_CONNECTIONS = False


def exchange(url, body=None, timeout=5):
    try:
        with urllib.request.urlopen(url, body, timeout) as response:
            content = response.read()
            if response.headers["Content-Encoding"] == "gzip":
                content = gzip.decompress(content)
            return response.status, content
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def get(path, timeout=5):
    return exchange(path if "://" in path else ROOT + path, timeout=timeout)


def post(path, json=None, content=None):
    return exchange(ROOT + path, content or json_module.dumps(json).encode())
