"""CPython's `_socket` over the host's connections; `socket.py` above it is CPython's own.

It offers blocking, timed and non-blocking modes, listeners and socket pairs inside the sandbox, and
Linux's errors. Raw sockets, named Unix sockets, listening to the outside, and UDP unless the
embedder allows it, raise the error that Linux raises where they are unavailable.
"""

from __future__ import annotations

import operator
import sys

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
from .builtin_functions import make_built_in
from .dns.hostname import gethostname, sethostname
from .dns.name_functions import (
    getaddrinfo,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    getnameinfo,
)
from .dns.services import getprotobyname, getservbyname, getservbyport
from .errors import gaierror, herror, os_error
from .loopback.interface import if_indextoname, if_nameindex, if_nametoindex
from .socket_constants import *  # noqa: F403
from .socket_constants import AF_INET, AF_INET6, AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM
from .sockets.socket_object import socket
from .sockets.stream_socket import socket_pair
from .timeouts import getdefaulttimeout, setdefaulttimeout

__all__ = [
    "CMSG_LEN",
    "CMSG_SPACE",
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
    """Returns two connected sockets inside the sandbox."""
    if family != AF_UNIX:
        raise os_error("EOPNOTSUPP" if family in (AF_INET, AF_INET6) else "EAFNOSUPPORT")
    if type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC) != SOCK_STREAM or proto:
        raise os_error("EPROTONOSUPPORT")
    first, second = socket_pair()
    ends = (
        socket(fileno=descriptors.allocate(first)),
        socket(fileno=descriptors.allocate(second)),
    )
    if type & SOCK_NONBLOCK:
        for end in ends:
            end.setblocking(False)
    return ends


def dup(fd: int, /) -> int:
    """Returns another descriptor for a connection, which stays open until all are closed."""
    return descriptors.duplicate(_check_descriptor(fd))


def close(fd: int, /) -> None:
    """Closes the descriptor of a socket."""
    descriptors.close(_check_descriptor(fd))


# A `cmsghdr` of 64-bit Linux: a length of eight bytes, two integers, then the data.
_CMSG_HEADER = 16
_CMSG_ALIGNMENT = 8
_LARGEST_CMSG = (1 << 31) - 1


def CMSG_LEN(length: int, /) -> int:  # noqa: N802 - CPython's name
    """Returns the size of an item of ancillary data of `length` bytes, without padding."""
    size = operator.index(length)
    if not 0 <= size <= _LARGEST_CMSG - _CMSG_HEADER:
        raise OverflowError("CMSG_LEN() argument out of range")
    return _CMSG_HEADER + size


def CMSG_SPACE(length: int, /) -> int:  # noqa: N802 - CPython's name
    """Returns the size of an item of ancillary data of `length` bytes, with padding."""
    size = operator.index(length)
    if not 0 <= size <= _LARGEST_CMSG - _CMSG_HEADER - _CMSG_ALIGNMENT:
        raise OverflowError("CMSG_SPACE() argument out of range")
    return _CMSG_HEADER + -(-size // _CMSG_ALIGNMENT) * _CMSG_ALIGNMENT


def _check_descriptor(fd: int) -> int:
    if not isinstance(fd, int):
        raise TypeError(f"'{type(fd).__name__}' object cannot be interpreted as an integer")
    return fd


# The functions that wait for a lookup or a socket.
_WAITING = frozenset(
    ("getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo")
)
make_built_in(sys.modules[__name__], "_socket", __all__, _WAITING)
