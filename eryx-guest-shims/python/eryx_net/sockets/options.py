"""The options of a socket: the host's, those that this package implements, and those only stored.

TCP_NODELAY, TCP_USER_TIMEOUT, SO_KEEPALIVE and its parameters, and SO_LINGER with a time of 0 are
set on the host's socket. SO_REUSEADDR, SO_REUSEPORT, IPV6_V6ONLY, SO_RCVTIMEO and SO_SNDTIMEO have
their effect in this package. All others tune a network stack, which a system may do as it likes:
they are checked as Linux checks them, and stored for `getsockopt`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import os_error
from ..socket_constants import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SO_LINGER,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SO_SNDTIMEO,
    SOCK_DGRAM,
    SOL_SOCKET,
    TCP_CONGESTION,
)
from .option_table import OPTIONS, UDP_OPTIONS, UNIX_OPTIONS, Option

_INT = struct.Struct("i")
_LINGER = struct.Struct("ii")
# A `timeval` of 64-bit Linux: seconds and microseconds. Programs for Linux pack it so, `"ll"`
# being two longs; on WASI a long has four bytes, so that form is accepted as well.
_TIMEVAL = struct.Struct("<qq")
_SHORT_TIMEVAL = struct.Struct("<ii")
_TIMEOUTS = (SO_RCVTIMEO, SO_SNDTIMEO)

# The only algorithm of congestion control that is certain to exist.
_CONGESTION = b"cubic".ljust(16, b"\0")


class TimeLimits(NamedTuple):
    """How long a blocking socket waits, in nanoseconds; None for ever.

    From SO_RCVTIMEO and SO_SNDTIMEO, or 0 after `os.set_blocking(fd, False)`.
    """

    receive: int | None
    send: int | None


class Options:
    """The options of one socket."""

    __slots__ = ("_family", "_kind", "_linger", "_timeouts", "_values")

    def __init__(self, family: int, kind: int) -> None:
        self._family = family
        self._kind = kind
        self._values: dict[tuple[int, int], int] = {}
        self._linger = (0, 0)
        # SO_RCVTIMEO and SO_SNDTIMEO in microseconds.
        self._timeouts: dict[int, int] = {}

    def _find(self, level: int, option: int, unsupported: str) -> Option:
        """Returns an integer option. Raises OSError if a socket of this kind does not have it."""
        key = (level, option)
        if self._kind == SOCK_DGRAM:
            if level == IPPROTO_TCP:
                raise os_error(unsupported)
            found = UDP_OPTIONS.get(key) or OPTIONS.get(key)
        elif self._family == AF_UNIX:
            if level != SOL_SOCKET:
                raise os_error("EOPNOTSUPP")
            found = UNIX_OPTIONS.get(key) or OPTIONS.get(key)
        else:
            found = OPTIONS.get(key)
        if level == IPPROTO_IPV6 and self._family == AF_INET:
            raise os_error("EOPNOTSUPP" if unsupported == "EOPNOTSUPP" else "ENOPROTOOPT")
        if found is None:
            raise os_error("ENOPROTOOPT")
        return found

    def put(self, level: int, option: int, value: int | bytes) -> str | None:
        """Stores an option. Returns its name on the host's socket if it has to be set there.

        Raises OSError(EINVAL), OSError(ENOPROTOOPT) and OSError(EOPNOTSUPP).
        """
        if level == SOL_SOCKET:
            if option == SO_LINGER:
                on, seconds = _unpack(_LINGER, value)
                self._linger = (int(on != 0), seconds)
                return "reset_on_close"
            if option in _TIMEOUTS:
                self._timeouts[option] = _microseconds(value)
                return "time_limits"
        if (level, option) == (IPPROTO_TCP, TCP_CONGESTION) and self.is_tcp:
            if not isinstance(value, bytes) or value.rstrip(b"\0") != _CONGESTION.rstrip(b"\0"):
                raise os_error("ENOENT", "No such file or directory")
            return None
        found = self._find(level, option, "ENOPROTOOPT")
        number = value if isinstance(value, int) else self._number(level, value)
        if not found.unix and self._family == AF_UNIX and number:
            raise os_error("EOPNOTSUPP")
        self._values[level, option] = found.stored(number)
        return found.host

    def _number(self, level: int, value: bytes) -> int:
        if level == IPPROTO_IP and 0 < len(value) < _INT.size:
            # The options of IPv4 may be one byte.
            return value[0]
        number: int = _unpack(_INT, value)[0]
        return number

    def get(self, level: int, option: int) -> int | bytes:
        """Returns the value of an option. Raises OSError(ENOPROTOOPT), OSError(EOPNOTSUPP)."""
        if level == SOL_SOCKET:
            if option == SO_LINGER:
                return _LINGER.pack(*self._linger)
            if option in _TIMEOUTS:
                return _TIMEVAL.pack(*divmod(self._timeouts.get(option, 0), 1_000_000))
        if (level, option) == (IPPROTO_TCP, TCP_CONGESTION) and self.is_tcp:
            return _CONGESTION
        found = self._find(level, option, "EOPNOTSUPP")
        return self._values.get((level, option), found.default)

    @property
    def is_tcp(self) -> bool:
        """Whether the socket is a TCP socket."""
        return self._kind != SOCK_DGRAM and self._family in (AF_INET, AF_INET6)

    def host_options(self) -> Iterator[tuple[str, int]]:
        """Yields names and values of the options to set on the host's socket."""
        for key, value in self._values.items():
            name = OPTIONS[key].host if key in OPTIONS else None
            if name is not None:
                yield name, value
        if self.resets_on_close:
            yield "reset_on_close", 1

    def copy(self) -> Options:
        """Returns a copy, for an accepted socket."""
        copy = Options(self._family, self._kind)
        copy._values = dict(self._values)
        copy._linger = self._linger
        copy._timeouts = dict(self._timeouts)
        return copy

    @property
    def reuse_address(self) -> bool:
        """The value of SO_REUSEADDR."""
        return bool(self._values.get((SOL_SOCKET, SO_REUSEADDR)))

    @property
    def reuse_port(self) -> bool:
        """The value of SO_REUSEPORT."""
        return bool(self._values.get((SOL_SOCKET, SO_REUSEPORT)))

    @property
    def v6only(self) -> bool:
        """The value of IPV6_V6ONLY."""
        return bool(self._values.get((IPPROTO_IPV6, IPV6_V6ONLY)))

    @property
    def resets_on_close(self) -> bool:
        """Whether `close` resets the connection: SO_LINGER on, with a time of 0."""
        return self._linger[0] != 0 and self._linger[1] == 0

    @property
    def time_limits(self) -> TimeLimits | None:
        """How long a blocking operation waits, None for ever in both directions."""
        if not any(self._timeouts.values()):
            return None
        receive, send = (self._timeouts.get(option) for option in _TIMEOUTS)
        return TimeLimits(
            receive * 1000 if receive else None,
            send * 1000 if send else None,
        )


def _unpack(form: struct.Struct, value: int | bytes) -> tuple[int, ...]:
    if isinstance(value, int):
        value = _INT.pack(value)
    if len(value) < form.size:
        raise os_error("EINVAL")
    return form.unpack_from(value)


def _microseconds(value: int | bytes) -> int:
    if isinstance(value, bytes) and len(value) == _SHORT_TIMEVAL.size:
        seconds, microseconds = _SHORT_TIMEVAL.unpack(value)
    else:
        seconds, microseconds = _unpack(_TIMEVAL, value)
    if not 0 <= microseconds < 1_000_000:
        raise os_error("EDOM", "Numerical argument out of domain")
    # Linux takes a negative time as none at all: such a socket never waits.
    return max(seconds, 0) * 1_000_000 + microseconds if seconds >= 0 else 1


def pack(value: int | bytes) -> bytes:
    """Returns the value of an option as bytes, the form `getsockopt` returns with a `buflen`."""
    return value if isinstance(value, bytes) else _INT.pack(value)
