"""Shortcuts through the standard library, for what nearly every request meets.

Each stands before a function of CPython, gives what that would have given, and hands on whatever it
does not know. Compiled to WebAssembly, Python takes twice its time, and these take a third of that
of a request.
"""

from . import http_headers, ssl_socket, urlsplit


def install() -> None:
    """Put them in their places."""
    http_headers.install()
    ssl_socket.install()
    urlsplit.install()
