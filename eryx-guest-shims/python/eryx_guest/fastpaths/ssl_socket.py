"""Sockets with TLS, whose methods call each other where the object below does it all."""

import ssl
from typing import Any

# What is longer is sent in parts.
_LONGEST = 65_536

_SSLSocket: Any = ssl.SSLSocket
_checked = _SSLSocket._checkClosed
_read = _SSLSocket.read
_recv = _SSLSocket.recv
_send = _SSLSocket.send
_sendall = _SSLSocket.sendall


def install() -> None:
    """Put them in their places."""
    for name, ours in ("recv", recv), ("sendall", sendall):
        stock = getattr(_SSLSocket, name)
        ours.__name__, ours.__qualname__ = stock.__name__, stock.__qualname__
        ours.__module__, ours.__doc__ = stock.__module__, stock.__doc__
        setattr(_SSLSocket, name, ours)


# Both leave alone what a program has put in place of the methods they spare, in the class, in one
# of its own, or in a socket.


def recv(self: Any, buflen: Any = 1024, flags: Any = 0) -> Any:
    if (
        self.__class__ is _SSLSocket
        and (below := self._sslobj) is not None
        and flags == 0
        and _SSLSocket.read is _read
        and _SSLSocket._checkClosed is _checked
        and "read" not in self.__dict__
    ):
        try:
            return below.read(buflen)
        except ssl.SSLError as error:
            if error.args[0] == ssl.SSL_ERROR_EOF and self.suppress_ragged_eofs:
                return b""
            raise
    return _recv(self, buflen, flags)


def sendall(self: Any, data: Any, flags: Any = 0) -> Any:
    if (
        self.__class__ is _SSLSocket
        and (below := self._sslobj) is not None
        and flags == 0
        and data.__class__ is bytes
        and 0 < len(data) <= _LONGEST
        and _SSLSocket.send is _send
        and _SSLSocket._checkClosed is _checked
        and "send" not in self.__dict__
    ):
        sent = below.write(data)
        if sent == len(data):
            return None
        data = data[sent:]
    return _sendall(self, data, flags)
