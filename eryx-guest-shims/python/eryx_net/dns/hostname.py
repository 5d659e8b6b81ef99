"""The host name of a sandbox, and host names in the form that Eryx takes."""

from __future__ import annotations

import re
import sys

from ..addresses import LOOPBACK
from ..errors import gai_error, os_error
from ..socket_constants import EAI_NONAME

MAX_NAME = 255
"""The length of the longest host name in ASCII characters (RFC 1035, 2.3.4)."""

HOSTNAME = "eryx"
"""The result of `gethostname`."""


def encode(name: str | bytes | bytearray) -> str:
    """Returns a host name in ASCII, encoded as CPython does it (IDNA 2003).

    Raises UnicodeError, ValueError or TypeError, and gaierror for a name longer than `MAX_NAME`.
    """
    if isinstance(name, (bytes, bytearray)):
        text = bytes(name).decode("ascii", "surrogateescape")
    elif isinstance(name, str):
        text = name
        # The codec also enforces the limits on labels. Ordinary names do not need it.
        if not name.isascii() or len(name) >= 64 or ".." in name or name.startswith("."):
            text = name.encode("idna").decode("ascii")
    else:
        raise TypeError(f"str, bytes or bytearray expected, not {type(name).__name__}")
    if "\0" in text:
        raise ValueError("embedded null character")
    if len(text) > MAX_NAME:
        # Never passed to Eryx, which does not take megabytes for a name.
        raise gai_error(EAI_NONAME)
    return text


# Letters, digits, hyphens and underscores. A last label of digits only is that of an address.
_NAME = re.compile(
    r"(?!(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z)"
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.(?!\Z)|\.?\Z))+"
)


def is_well_formed(name: str) -> bool:
    """Returns whether a host can have this name (RFC 1123, 2.1).

    The policy denies all others as malformed; to the C library's resolver, they do not exist.
    """
    return _NAME.fullmatch(name) is not None


def is_own(name: str) -> bool:
    """Returns whether a name means this sandbox: `localhost`, or its own host name."""
    return name.rstrip(".").lower() in ("localhost", HOSTNAME)


def own_addresses(name: str, family: int) -> list[str]:
    """Returns the loopback addresses of a name that means this sandbox, none for any other name.

    A `family` other than AF_INET and AF_INET6 stands for both.
    """
    if not is_own(name):
        return []
    return [LOOPBACK[family]] if family in LOOPBACK else list(LOOPBACK.values())


# The functions `_socket` exports.


def gethostname() -> str:
    """Returns the name of this sandbox."""
    sys.audit("socket.gethostname")
    return HOSTNAME


def sethostname(name: str | bytes, /) -> None:
    """Raises OSError(EPERM): a program cannot change the name of its sandbox."""
    sys.audit("socket.sethostname", name)
    raise os_error("EPERM")
