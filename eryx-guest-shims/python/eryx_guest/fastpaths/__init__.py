"""Fast paths: replacements for hot functions of the standard library.

Each returns the result of the function it replaces, and calls that function for all but the common
case. Python code takes twice its time in WebAssembly; the fast paths save a third of the time of a
request.
"""

from . import http_headers, ssl_socket, urlsplit


def install() -> None:
    """Installs all fast paths."""
    http_headers.install()
    ssl_socket.install()
    urlsplit.install()
