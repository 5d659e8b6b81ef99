"""The addresses of sockets: parsing those that a program passes, and formatting those it gets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..addresses import CACHE_SIZE, UNSPECIFIED
from ..buffers import to_bytes
from ..destination import Destination, parse
from ..dns.hostname import encode
from ..errors import gai_error, os_error
from ..socket_constants import AF_INET, AF_INET6, AF_UNIX, EAI_ADDRFAMILY, EAI_NONAME

SockAddr = Any


def parse_address(address: Any, family: int, caller: str) -> tuple[Destination, int]:
    """Parses the argument of `connect`, `bind` and `sendto`. Raises CPython's exceptions."""
    if address.__class__ is tuple and len(address) == 2:
        # The common case.
        host, port = address
        if host.__class__ is str and port.__class__ is int and 0 <= port <= 0xFFFF:
            return _destination(host, int(family)), port
    version = "AF_INET" if family == AF_INET else "AF_INET6"
    if not isinstance(address, tuple):
        raise TypeError(f"{caller}(): {version} address must be tuple, not {type_name(address)}")
    longest = 2 if family == AF_INET else 4
    if not 2 <= len(address) <= longest:
        form = (
            "a pair (host, port)" if longest == 2 else "a tuple (host, port[, flowinfo[, scopeid]])"
        )
        raise TypeError(f"{version} address must be {form}")
    host, port = address[:2]
    if not isinstance(port, int):
        raise TypeError(f"'{type_name(port)}' object cannot be interpreted as an integer")
    if not 0 <= port <= 0xFFFF:
        raise OverflowError(f"{caller}(): port must be 0-65535.")
    if len(address) > 2 and not 0 <= address[2] <= 0xFFFFF:
        raise OverflowError(f"{caller}(): flowinfo must be 0-1048575.")
    if len(address) > 3 and address[3]:
        raise os_error("ENODEV", "there are no network interfaces, so no scope ids, in a sandbox")
    return _destination.__wrapped__(host, family), int(port)


def format_address(endpoint: tuple[str, int] | None, family: int) -> SockAddr:
    """Returns an address in the form that a socket of a family has."""
    if family == AF_UNIX:
        return ""
    if endpoint is None:
        endpoint = (UNSPECIFIED[AF_INET if family == AF_INET else AF_INET6], 0)
    address, port = endpoint
    if ":" in address:
        return address, port, 0, 0
    if family == AF_INET6:
        return "::ffff:" + address, port, 0, 0
    return address, port


@lru_cache(maxsize=CACHE_SIZE)
def _destination(host: str | bytes | bytearray, family: int) -> Destination:
    """Returns the destination of a socket of a family. Raises CPython's exceptions."""
    name = encode(host)
    if not name:
        name = UNSPECIFIED[AF_INET if family == AF_INET else AF_INET6]
    elif name == "<broadcast>" and family == AF_INET:
        name = "255.255.255.255"
    destination = parse(name)
    # CPython resolves the host before it calls the system.
    if not destination.is_valid:
        raise gai_error(EAI_NONAME)
    if destination.family not in (None, family):
        raise gai_error(EAI_ADDRFAMILY)
    return destination


def check_path(address: Any) -> None:
    """Raises TypeError for an address that a Unix socket cannot have."""
    if not isinstance(address, str):
        to_bytes(address)


def type_name(value: object) -> str:
    """Returns the name of the type of an argument, for an error about it."""
    return type(value).__name__
