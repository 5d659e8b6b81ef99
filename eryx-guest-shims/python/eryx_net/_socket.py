"""CPython's `_socket` over the host's connections; `socket.py` on top of it stays CPython's own.

Blocking, timed and non-blocking modes, in-guest listeners and socket pairs, and the errors Linux
gives. What is not there (raw and named Unix sockets, listening to the outside, datagrams unless the
embedder allows them) is refused with the error number a Linux program would see.
"""

from __future__ import annotations

from . import descriptors, socket_constants
from .addresses import (
    htonl,
    htons,
    inet_aton,
    inet_ntoa,
    inet_ntop,
    inet_pton,
    ntohl,
    ntohs,
)
from .failures import failure, gaierror, herror
from .names import (
    getaddrinfo,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    gethostname,
    getnameinfo,
    if_indextoname,
    if_nameindex,
    if_nametoindex,
    sethostname,
)
from .services import getprotobyname, getservbyname, getservbyport
from .socket_constants import *  # noqa: F403
from .socket_constants import AF_INET, AF_INET6, AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM
from .socket_object import socket
from .stream_socket import socket_pair
from .timeouts import getdefaulttimeout, setdefaulttimeout

__all__ = [
    "SocketType",
    "close",
    "dup",
    "error",
    "gaierror",
    "getaddrinfo",
    "getdefaulttimeout",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostname",
    "getnameinfo",
    "getprotobyname",
    "getservbyname",
    "getservbyport",
    "has_ipv6",
    "herror",
    "htonl",
    "htons",
    "if_indextoname",
    "if_nameindex",
    "if_nametoindex",
    "inet_aton",
    "inet_ntoa",
    "inet_ntop",
    "inet_pton",
    "ntohl",
    "ntohs",
    "setdefaulttimeout",
    "sethostname",
    "socket",
    "socketpair",
    "timeout",
]
__all__ += [name for name in vars(socket_constants) if name.isupper() or name == "AF_DECnet"]

error = OSError
timeout = TimeoutError
has_ipv6 = True

SocketType = socket


def socketpair(
    family: int = AF_UNIX, type: int = SOCK_STREAM, proto: int = 0, /
) -> tuple[socket, socket]:
    """Two connected sockets, inside the guest."""
    if family != AF_UNIX:
        raise failure("EOPNOTSUPP" if family in (AF_INET, AF_INET6) else "EAFNOSUPPORT")
    if type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) != SOCK_STREAM or proto:
        raise failure("EPROTONOSUPPORT")
    first, second = socket_pair()
    made = (
        socket(fileno=descriptors.opened(first)),
        socket(fileno=descriptors.opened(second)),
    )
    if type & SOCK_NONBLOCK:
        for end in made:
            end.setblocking(False)
    return made


def dup(fd: int, /) -> int:
    """Another descriptor for the same connection, which stays open until all are closed."""
    return descriptors.duplicate(_descriptor(fd))


def close(fd: int, /) -> None:
    """Close a socket's descriptor."""
    descriptors.close(_descriptor(fd))


def _descriptor(fd: int) -> int:
    if not isinstance(fd, int):
        raise TypeError(f"'{type(fd).__name__}' object cannot be interpreted as an integer")
    return fd
