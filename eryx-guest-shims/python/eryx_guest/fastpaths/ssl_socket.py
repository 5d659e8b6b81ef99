"""Fast paths for `ssl.SSLSocket`: `recv` and `sendall` call the `_ssl` object directly."""

import ssl
from typing import Any

# The largest `sendall` in bytes with a fast path. A larger one is sent in parts.
_MAX_SENDALL = 65_536

_SSLSocket: Any = ssl.SSLSocket
_check_closed = _SSLSocket._checkClosed
_read = _SSLSocket.read
_recv = _SSLSocket.recv
_send = _SSLSocket.send
_sendall = _SSLSocket.sendall


def install() -> None:
    """Replaces the methods, and keeps their names and docstrings."""
    for name, fast in ("recv", recv), ("sendall", sendall):
        stock = getattr(_SSLSocket, name)
        fast.__name__, fast.__qualname__ = stock.__name__, stock.__qualname__
        fast.__module__, fast.__doc__ = stock.__module__, stock.__doc__
        setattr(_SSLSocket, name, fast)


# Both call the stock method if the program has patched one of the methods that are bypassed: on the
# class, on a subclass, or on the socket.


def recv(self: Any, buflen: Any = 1024, flags: Any = 0) -> Any:
    if (
        self.__class__ is _SSLSocket
        and (ssl_object := self._sslobj) is not None
        and flags == 0
        and _SSLSocket.read is _read
        and _SSLSocket._checkClosed is _check_closed
        and "read" not in self.__dict__
    ):
        try:
            return ssl_object.read(buflen)
        except ssl.SSLError as error:
            if error.args[0] == ssl.SSL_ERROR_EOF and self.suppress_ragged_eofs:
                return b""
            raise
    return _recv(self, buflen, flags)


def sendall(self: Any, data: Any, flags: Any = 0) -> Any:
    if (
        self.__class__ is _SSLSocket
        and (ssl_object := self._sslobj) is not None
        and flags == 0
        and data.__class__ is bytes
        and 0 < len(data) <= _MAX_SENDALL
        and _SSLSocket.send is _send
        and _SSLSocket._checkClosed is _check_closed
        and "send" not in self.__dict__
    ):
        sent = ssl_object.write(data)
        if sent == len(data):
            return None
        data = data[sent:]
    return _sendall(self, data, flags)
