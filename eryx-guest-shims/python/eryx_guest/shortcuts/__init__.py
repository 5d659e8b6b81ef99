"""Shortcuts through the standard library, for what nearly every request meets.

Each stands before a function of CPython, gives what that would have given, and hands on whatever it
does not know. Compiled to WebAssembly, Python takes twice its time, and these take a third of that
of a request.
"""

from . import header_fields, tls_sockets, urls


def install() -> None:
    """Put them in their places."""
    header_fields.install()
    tls_sockets.install()
    urls.install()
