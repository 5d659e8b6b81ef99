import gzip
import http.client
import json as json_module
import ssl
import urllib.parse

TIMEOUT = TimeoutError
TLS_FAILURE = ssl.SSLCertVerificationError
REFUSED = PermissionError
connections = {}
KEEPS_CONNECTIONS = True


def exchange(method, url, body=None, timeout=5):
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    key = parts.scheme, parts.netloc
    connection = connections.pop(key, None) or kind(parts.netloc)
    connection.timeout = timeout
    if connection.sock is not None:
        connection.sock.settimeout(timeout)
    connection.request(method, parts.path, body)
    response = connection.getresponse()
    content = response.read()
    connections[key] = connection
    if response.status == 302:
        return exchange(
            method, urllib.parse.urljoin(url, response.headers["Location"]), body, timeout
        )
    if response.headers["Content-Encoding"] == "gzip":
        content = gzip.decompress(content)
    return response.status, content


def get(path, timeout=5):
    return exchange("GET", path if "://" in path else ROOT + path, timeout=timeout)


def post(path, json=None, content=None):
    return exchange("POST", ROOT + path, content or json_module.dumps(json))
