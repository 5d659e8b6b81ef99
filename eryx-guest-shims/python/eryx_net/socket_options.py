"""Socket options: which are real, which are hints, which are refused.

Those of TCP_NODELAY and SO_KEEPALIVE reach the host's socket. A few hold by nature or are hints a
system may ignore, and are kept for `getsockopt`. Everything else raises OSError(ENOPROTOOPT), so
that a program never believes in a setting that does nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .failures import failure
from .socket_constants import (
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SO_BROADCAST,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_OOBINLINE,
    SO_RCVBUF,
    SO_REUSEADDR,
    SO_SNDBUF,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_NODELAY,
    TCP_QUICKACK,
)

_REAL = {
    (SOL_SOCKET, SO_KEEPALIVE): "keep_alive",
    (IPPROTO_TCP, TCP_NODELAY): "no_delay",
    (IPPROTO_TCP, TCP_KEEPIDLE): "idle",
    (IPPROTO_TCP, TCP_KEEPINTVL): "interval",
    (IPPROTO_TCP, TCP_KEEPCNT): "count",
}

# Flags, with what they are when never set.
_FLAGS = {
    (SOL_SOCKET, SO_KEEPALIVE): 0,
    (IPPROTO_TCP, TCP_NODELAY): 0,
    (SOL_SOCKET, SO_REUSEADDR): 0,
    # Neither broadcasts nor urgent data exist on our connections, so both hold either way.
    (SOL_SOCKET, SO_BROADCAST): 0,
    (SOL_SOCKET, SO_OOBINLINE): 0,
    # A hint, reset by the system whenever it likes.
    (IPPROTO_TCP, TCP_QUICKACK): 1,
    (IPPROTO_IPV6, IPV6_V6ONLY): 0,
}

# Sizes, with Linux's defaults and least values. Linux doubles what it is given, and says so.
_SIZES = {(SOL_SOCKET, SO_RCVBUF): (131072, 2304), (SOL_SOCKET, SO_SNDBUF): (16384, 4608)}

# Numbers from 1, with Linux's defaults and greatest values.
_NUMBERS = {
    (IPPROTO_TCP, TCP_KEEPIDLE): (7200, 32767),
    (IPPROTO_TCP, TCP_KEEPINTVL): (75, 32767),
    (IPPROTO_TCP, TCP_KEEPCNT): (9, 127),
}

_LINGER = struct.Struct("ii")
_INT = struct.Struct("i")


class Options:
    """The options of one socket."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[tuple[int, int], int] = {}

    def put(self, level: int, option: int, value: int | bytes) -> str | None:
        """Keep an option. Returns the name of one the host has to be told. Raises OSError."""
        key = (level, option)
        if key == (SOL_SOCKET, SO_LINGER):
            self._put_linger(value)
            return None
        number = value if isinstance(value, int) else _integer(value)
        if key in _FLAGS:
            self._values[key] = int(bool(number))
        elif key in _SIZES:
            self._values[key] = max(2 * min(max(number, 0), 1 << 24), _SIZES[key][1])
        elif key in _NUMBERS:
            if not 1 <= number <= _NUMBERS[key][1]:
                raise failure("EINVAL")
            self._values[key] = number
        else:
            raise failure("ENOPROTOOPT")
        return _REAL.get(key)

    def _put_linger(self, value: int | bytes) -> None:
        if isinstance(value, int) or len(value) < _LINGER.size:
            raise failure("EINVAL")
        if _LINGER.unpack_from(value)[0]:
            raise failure("ENOPROTOOPT", "SO_LINGER cannot be switched on in a sandbox")

    def get(self, level: int, option: int) -> int | bytes:
        """What an option is set to. Raises OSError(ENOPROTOOPT)."""
        key = (level, option)
        if key in _FLAGS:
            return self._values.get(key, _FLAGS[key])
        if key in _SIZES:
            return self._values.get(key, _SIZES[key][0])
        if key in _NUMBERS:
            return self._values.get(key, _NUMBERS[key][0])
        if key == (SOL_SOCKET, SO_LINGER):
            return _LINGER.pack(0, 0)
        raise failure("ENOPROTOOPT")

    def real(self) -> Iterator[tuple[str, int]]:
        """The options set for the host's socket."""
        for key, name in _REAL.items():
            if key in self._values:
                yield name, self._values[key]

    def inherited(self) -> Options:
        """A copy, for a socket that was accepted."""
        copy = Options()
        copy._values = dict(self._values)
        return copy

    @property
    def reuse_address(self) -> bool:
        """SO_REUSEADDR."""
        return bool(self._values.get((SOL_SOCKET, SO_REUSEADDR)))

    @property
    def v6only(self) -> bool:
        """IPV6_V6ONLY."""
        return bool(self._values.get((IPPROTO_IPV6, IPV6_V6ONLY)))


def _integer(value: bytes) -> int:
    if len(value) < _INT.size:
        raise failure("EINVAL")
    number: int = _INT.unpack_from(value)[0]
    return number


def packed(value: int | bytes) -> bytes:
    """An option's value as `getsockopt` gives it to those who ask for bytes."""
    return value if isinstance(value, bytes) else _INT.pack(value)
