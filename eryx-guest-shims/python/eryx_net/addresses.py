"""IP addresses: conversions between text, bytes and integers, as in the C library.

The rest of the package uses the strict parsers `parse_ipv4` and `parse_ipv6`. They accept exactly
the text that `inet_pton` accepts (RFC 4291, section 2.2), so that only a canonical literal counts
as an address.
"""

from __future__ import annotations

import sys
from functools import lru_cache

from .errors import os_error
from .socket_constants import AF_INET, AF_INET6

LONGEST_LITERAL = 45
"""The length of the longest literal in characters: IPv6 with an embedded IPv4 address."""

CACHE_SIZE = 64
"""The number of parsed texts that are cached: a program connects to few hosts, and often."""

UNSPECIFIED = {AF_INET: "0.0.0.0", AF_INET6: "::"}
"""The unspecified address of each family: bound to it, a socket uses every address."""

WILDCARDS = tuple(UNSPECIFIED.values())
"""The unspecified addresses of both families."""

LOOPBACK = {AF_INET: "127.0.0.1", AF_INET6: "::1"}
"""The loopback address of each family."""

_HEX = frozenset("0123456789abcdefABCDEF")


def parse_ipv4(text: str) -> bytes | None:
    """Returns the four bytes of a dotted quad without leading zeros, None for any other text.

    >>> parse_ipv4("192.0.2.1")
    b'\\xc0\\x00\\x02\\x01'
    >>> parse_ipv4("127.1") is parse_ipv4("010.0.0.1") is None
    True
    """
    return None if len(text) > LONGEST_LITERAL else _ipv4(text)


@lru_cache(maxsize=CACHE_SIZE)
def _ipv4(text: str) -> bytes | None:
    parts = text.split(".")
    if len(parts) != 4:
        return None
    packed = bytearray()
    for part in parts:
        if not (1 <= len(part) <= 3 and part.isascii() and part.isdigit()):
            return None
        if len(part) > 1 and part[0] == "0":
            return None
        value = int(part)
        if value > 255:
            return None
        packed.append(value)
    return bytes(packed)


def parse_ipv6(text: str) -> bytes | None:
    """Returns the 16 bytes of an IPv6 literal without a zone, None for any other text.

    >>> parse_ipv6("::1") == bytes(15) + b"\\x01"
    True
    """
    return None if len(text) > LONGEST_LITERAL else _ipv6(text)


@lru_cache(maxsize=CACHE_SIZE)
def _ipv6(text: str) -> bytes | None:
    if text.count("::") > 1 or ":::" in text:
        return None
    head, compressed, tail = text.partition("::")
    front = _groups(head, last=not compressed)
    back = _groups(tail, last=True)
    if front is None or back is None:
        return None
    if not compressed:
        return front if len(front) == 16 else None
    missing = 16 - len(front) - len(back)
    # "::" stands for at least one group of zeros.
    return front + bytes(missing) + back if missing >= 2 else None


def _groups(text: str, *, last: bool) -> bytes | None:
    if not text:
        return b""
    parts = text.split(":")
    groups = bytearray()
    for index, part in enumerate(parts):
        if last and index == len(parts) - 1 and "." in part:
            embedded = parse_ipv4(part)
            if embedded is None:
                return None
            groups += embedded
            continue
        if not 1 <= len(part) <= 4 or not _HEX.issuperset(part):
            return None
        groups += int(part, 16).to_bytes(2, "big")
    return bytes(groups) if len(groups) <= 16 else None


def literal_family(text: str) -> int | None:
    """Returns the family of an address literal, None for any other text."""
    if parse_ipv4(text) is not None:
        return AF_INET
    if parse_ipv6(text) is not None:
        return AF_INET6
    return None


def format_ipv4(packed: bytes) -> str:
    """Returns the dotted quad of four bytes."""
    return ".".join(map(str, packed))


def format_ipv6(packed: bytes) -> str:
    """Returns the text of `inet_ntop`: RFC 5952, with an embedded IPv4 address as a dotted quad."""
    if packed[:12] == bytes(10) + b"\xff\xff":
        return "::ffff:" + format_ipv4(packed[12:])
    if packed[:12] == bytes(12) and packed[12:14] != b"\x00\x00":
        return "::" + format_ipv4(packed[12:])
    groups = [int.from_bytes(packed[at : at + 2], "big") for at in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    words = [format(group, "x") for group in groups]
    if length < 2:
        return ":".join(words)
    return ":".join(words[:start]) + "::" + ":".join(words[start + length :])


def _longest_zeros(groups: list[int]) -> tuple[int, int]:
    best = (0, 0)
    start = 0
    for at, group in enumerate([*groups, 1]):
        if group:
            if at - start > best[1]:
                best = (start, at - start)
            start = at + 1
    return best


def is_loopback(text: str) -> bool:
    """Returns whether a literal is a loopback address: 127.0.0.0/8, ::1, or IPv4-mapped."""
    packed = parse_ipv4(text)
    if packed is None:
        packed = parse_ipv6(text)
        if packed is None:
            return False
        if packed[:12] == bytes(10) + b"\xff\xff":
            packed = packed[12:]
    return packed[0] == 127 if len(packed) == 4 else packed == bytes(15) + b"\x01"


def unmapped(text: str) -> str:
    """Returns the IPv4 address of an IPv4-mapped one (::ffff:0:0/96), any other text unchanged."""
    packed = parse_ipv6(text)
    if packed is not None and packed[:12] == bytes(10) + b"\xff\xff":
        return format_ipv4(packed[12:])
    return text


def is_short_form(text: str) -> bool:
    """Returns whether `inet_aton` takes a text as an address, such as `127.1` or `0x7f000001`."""
    # Names rarely begin with a digit.
    if not text[:1].isdigit() or len(text) > LONGEST_LITERAL or any(map(str.isspace, text)):
        return False
    try:
        inet_aton(text)
    except OSError:
        return False
    return True


# The functions `_socket` exports.


def inet_pton(address_family: int, ip_string: str, /) -> bytes:
    """Converts an IP address from text to packed form.

    Raises OSError for a text that is not a strict literal.
    """
    if address_family == AF_INET:
        packed = parse_ipv4(ip_string)
    elif address_family == AF_INET6:
        packed = parse_ipv6(ip_string)
    else:
        raise os_error("EAFNOSUPPORT")
    if packed is None:
        raise OSError("illegal IP address string passed to inet_pton")
    return packed


def inet_ntop(address_family: int, packed_ip: bytes, /) -> str:
    """Converts a packed IP address to text. Raises ValueError for a wrong length or family."""
    packed = bytes(packed_ip)
    if address_family not in (AF_INET, AF_INET6):
        raise ValueError(f"unknown address family {address_family}")
    if len(packed) != (4 if address_family == AF_INET else 16):
        raise ValueError("invalid length of packed IP address string")
    return format_ipv4(packed) if address_family == AF_INET else format_ipv6(packed)


def inet_aton(ip_addr: str, /) -> bytes:
    """Converts an IPv4 address in any of the C library's forms to four bytes.

    The text has one to four parts, each decimal, octal (`0177`) or hexadecimal (`0x7f`); the last
    part fills the remaining bytes. Text after white space is ignored.

    Raises OSError for any other text.
    """
    # The C function stops at the first white space.
    words = ip_addr.split(maxsplit=1)
    parts = words[0].split(".") if words and not ip_addr[:1].isspace() else []
    if not 1 <= len(parts) <= 4:
        raise OSError("illegal IP address string passed to inet_aton")
    value = 0
    for index, part in enumerate(parts):
        number = _c_integer(part)
        last = index == len(parts) - 1
        limit = 1 << (8 * (5 - len(parts))) if last else 256
        if number is None or number >= limit:
            raise OSError("illegal IP address string passed to inet_aton")
        value += number if last else number << (24 - 8 * index)
    return value.to_bytes(4, "big")


def _c_integer(text: str) -> int | None:
    if len(text) > 16 or not text or not text.isascii() or not text[0].isdigit():
        return None
    base = 10
    if text[:2] in ("0x", "0X"):
        base, text = 16, text[2:]
    elif text[0] == "0" and len(text) > 1:
        base, text = 8, text[1:]
    if not text or not _HEX.issuperset(text):
        return None
    try:
        return int(text, base)
    except ValueError:
        return None


def inet_ntoa(packed_ip: bytes, /) -> str:
    """Converts four bytes to a dotted quad. Raises OSError for another length."""
    packed = bytes(packed_ip)
    if len(packed) != 4:
        raise OSError("packed IP wrong length")
    return format_ipv4(packed)


_LITTLE = sys.byteorder == "little"


def htons(integer: int, /) -> int:
    """Converts a 16-bit unsigned integer from host to network byte order."""
    return _swap_bytes(integer, 2, "htons")


def ntohs(integer: int, /) -> int:
    """Converts a 16-bit unsigned integer from network to host byte order."""
    return _swap_bytes(integer, 2, "ntohs")


def htonl(integer: int, /) -> int:
    """Converts a 32-bit unsigned integer from host to network byte order."""
    return _swap_bytes(integer, 4, "htonl")


def ntohl(integer: int, /) -> int:
    """Converts a 32-bit unsigned integer from network to host byte order."""
    return _swap_bytes(integer, 4, "ntohl")


def _swap_bytes(integer: int, size: int, name: str) -> int:
    if not isinstance(integer, int):
        raise TypeError(f"'{type(integer).__name__}' object cannot be interpreted as an integer")
    if integer < 0:
        raise OverflowError(
            f"{name}: can't convert negative Python int to C {8 * size}-bit unsigned integer"
        )
    if integer >= 1 << (8 * size):
        raise OverflowError(
            f"{name}: Python int too large to convert to C {8 * size}-bit unsigned integer"
        )
    return int.from_bytes(integer.to_bytes(size, "big"), sys.byteorder) if _LITTLE else integer
