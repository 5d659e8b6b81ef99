"""The exceptions of CPython's `_socket`, with Linux's text for each error number.

The error numbers of WASI differ from Linux's, so errors are identified by name here.
"""

from __future__ import annotations

import errno

from .socket_constants import (
    EAI_ADDRFAMILY,
    EAI_AGAIN,
    EAI_BADFLAGS,
    EAI_FAIL,
    EAI_FAMILY,
    EAI_NODATA,
    EAI_NONAME,
    EAI_SERVICE,
    EAI_SOCKTYPE,
)


class herror(OSError):  # noqa: N801, N818 - CPython's name
    """A failed lookup by `gethostbyaddr`."""


class gaierror(OSError):  # noqa: N801, N818 - CPython's name
    """A failed `getaddrinfo` or `getnameinfo`. `args` is an `EAI_*` number and its text."""


herror.__module__ = "socket"
gaierror.__module__ = "socket"

_TEXTS = {
    "EACCES": "Permission denied",
    "EADDRINUSE": "Address already in use",
    "EADDRNOTAVAIL": "Cannot assign requested address",
    "EAFNOSUPPORT": "Address family not supported by protocol",
    "EAGAIN": "Resource temporarily unavailable",
    "EALREADY": "Operation already in progress",
    "EBADF": "Bad file descriptor",
    "ECONNABORTED": "Software caused connection abort",
    "ECONNREFUSED": "Connection refused",
    "ECONNRESET": "Connection reset by peer",
    "EDEADLK": "Resource deadlock avoided",
    "EDESTADDRREQ": "Destination address required",
    "EHOSTUNREACH": "No route to host",
    "EINPROGRESS": "Operation now in progress",
    "EINVAL": "Invalid argument",
    "EISCONN": "Transport endpoint is already connected",
    "EMFILE": "Too many open files",
    "EMSGSIZE": "Message too long",
    "ENETUNREACH": "Network is unreachable",
    "ENOBUFS": "No buffer space available",
    "ENODEV": "No such device",
    "ENOPROTOOPT": "Protocol not available",
    "ENOTCONN": "Transport endpoint is not connected",
    "ENOTSOCK": "Socket operation on non-socket",
    "ENXIO": "No such device or address",
    "EOPNOTSUPP": "Operation not supported",
    "EPERM": "Operation not permitted",
    "EPIPE": "Broken pipe",
    "ESPIPE": "Illegal seek",
    "EPROTONOSUPPORT": "Protocol not supported",
    "ETIMEDOUT": "Connection timed out",
}

_GAI_TEXTS = {
    EAI_ADDRFAMILY: "Address family for hostname not supported",
    EAI_AGAIN: "Temporary failure in name resolution",
    EAI_BADFLAGS: "Bad value for ai_flags",
    EAI_FAIL: "Non-recoverable failure in name resolution",
    EAI_FAMILY: "ai_family not supported",
    EAI_NODATA: "No address associated with hostname",
    EAI_NONAME: "Name or service not known",
    EAI_SERVICE: "Servname not supported for ai_socktype",
    EAI_SOCKTYPE: "ai_socktype not supported",
}


def os_error(name: str, text: str | None = None) -> OSError:
    """Returns the `OSError` for the error number called `name`, with Linux's text by default.

    CPython chooses the subclass by the number.

    >>> os_error("ECONNREFUSED")
    ConnectionRefusedError(111, 'Connection refused')
    """
    number: int = getattr(errno, name)
    return OSError(number, text if text is not None else _TEXTS[name])


def error_number(name: str) -> int:
    """Returns the number of the error called `name` on this system."""
    number: int = getattr(errno, name)
    return number


def gai_error(number: int) -> gaierror:
    """Returns the `gaierror` for an `EAI_*` number."""
    return gaierror(number, _GAI_TEXTS[number])
