"""Socket options: the host's, those stored for `getsockopt` only, and the unsupported rest.

TCP_NODELAY, SO_KEEPALIVE and the keepalive parameters are set on the host's socket. Options that
hold anyway, and hints that a system may ignore, are only stored. All others raise
OSError(ENOPROTOOPT), so that a program never relies on an option without effect.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..errors import os_error
from ..socket_constants import (
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

# Options of the host's socket, with their names there.
_HOST_OPTIONS = {
    (SOL_SOCKET, SO_KEEPALIVE): "keep_alive",
    (IPPROTO_TCP, TCP_NODELAY): "no_delay",
    (IPPROTO_TCP, TCP_KEEPIDLE): "idle",
    (IPPROTO_TCP, TCP_KEEPINTVL): "interval",
    (IPPROTO_TCP, TCP_KEEPCNT): "count",
}

# Flags, with their defaults.
_FLAGS = {
    (SOL_SOCKET, SO_KEEPALIVE): 0,
    (IPPROTO_TCP, TCP_NODELAY): 0,
    (SOL_SOCKET, SO_REUSEADDR): 0,
    # Connections carry neither broadcasts nor urgent data, so these two have no effect anyway.
    (SOL_SOCKET, SO_BROADCAST): 0,
    (SOL_SOCKET, SO_OOBINLINE): 0,
    # A hint, which a system resets at any time.
    (IPPROTO_TCP, TCP_QUICKACK): 1,
    (IPPROTO_IPV6, IPV6_V6ONLY): 0,
}

# Buffer sizes in bytes, with Linux's defaults and minima. Linux doubles the size it is given, and
# `getsockopt` returns the doubled size.
_SIZES = {(SOL_SOCKET, SO_RCVBUF): (131072, 2304), (SOL_SOCKET, SO_SNDBUF): (16384, 4608)}

# Numbers from 1, with Linux's defaults and maxima.
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
        """Stores an option. Returns its name on the host's socket if it has to be set there.

        Raises OSError(EINVAL) and OSError(ENOPROTOOPT).
        """
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
                raise os_error("EINVAL")
            self._values[key] = number
        else:
            raise os_error("ENOPROTOOPT")
        return _HOST_OPTIONS.get(key)

    def _put_linger(self, value: int | bytes) -> None:
        if isinstance(value, int) or len(value) < _LINGER.size:
            raise os_error("EINVAL")
        if _LINGER.unpack_from(value)[0]:
            raise os_error("ENOPROTOOPT", "SO_LINGER cannot be switched on in a sandbox")

    def get(self, level: int, option: int) -> int | bytes:
        """Returns the value of an option. Raises OSError(ENOPROTOOPT)."""
        key = (level, option)
        if key in _FLAGS:
            return self._values.get(key, _FLAGS[key])
        if key in _SIZES:
            return self._values.get(key, _SIZES[key][0])
        if key in _NUMBERS:
            return self._values.get(key, _NUMBERS[key][0])
        if key == (SOL_SOCKET, SO_LINGER):
            return _LINGER.pack(0, 0)
        raise os_error("ENOPROTOOPT")

    def host_options(self) -> Iterator[tuple[str, int]]:
        """Yields names and values of the options to set on the host's socket."""
        for key, name in _HOST_OPTIONS.items():
            if key in self._values:
                yield name, self._values[key]

    def copy(self) -> Options:
        """Returns a copy, for an accepted socket."""
        copy = Options()
        copy._values = dict(self._values)
        return copy

    @property
    def reuse_address(self) -> bool:
        """The value of SO_REUSEADDR."""
        return bool(self._values.get((SOL_SOCKET, SO_REUSEADDR)))

    @property
    def v6only(self) -> bool:
        """The value of IPV6_V6ONLY."""
        return bool(self._values.get((IPPROTO_IPV6, IPV6_V6ONLY)))


def _integer(value: bytes) -> int:
    if len(value) < _INT.size:
        raise os_error("EINVAL")
    number: int = _INT.unpack_from(value)[0]
    return number


def pack(value: int | bytes) -> bytes:
    """Returns the value of an option as bytes, the form `getsockopt` returns with a `buflen`."""
    return value if isinstance(value, bytes) else _INT.pack(value)
