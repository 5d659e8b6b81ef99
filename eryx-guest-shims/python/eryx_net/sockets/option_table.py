"""Linux's socket options: for each its default, the values that it accepts, and its effect here.

The defaults and ranges are those of Linux 6; `tests/differential` compares them with the machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import os_error
from ..socket_constants import (
    IP_BIND_ADDRESS_NO_PORT,
    IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL,
    IP_RECVOPTS,
    IP_RECVRETOPTS,
    IP_RECVTOS,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_DONTFRAG,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_LOOP,
    IPV6_RECVHOPLIMIT,
    IPV6_RECVPKTINFO,
    IPV6_RECVTCLASS,
    IPV6_TCLASS,
    IPV6_UNICAST_HOPS,
    IPV6_V6ONLY,
    SO_BROADCAST,
    SO_DEBUG,
    SO_DONTROUTE,
    SO_INCOMING_CPU,
    SO_KEEPALIVE,
    SO_OOBINLINE,
    SO_PASSCRED,
    SO_PRIORITY,
    SO_RCVBUF,
    SO_RCVLOWAT,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SO_SNDBUF,
    SO_SNDLOWAT,
    SOL_SOCKET,
    TCP_CORK,
    TCP_DEFER_ACCEPT,
    TCP_FASTOPEN,
    TCP_FASTOPEN_CONNECT,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_LINGER2,
    TCP_MAXSEG,
    TCP_NODELAY,
    TCP_NOTSENT_LOWAT,
    TCP_QUICKACK,
    TCP_SYNCNT,
    TCP_THIN_DUPACK,
    TCP_THIN_LINEAR_TIMEOUTS,
    TCP_USER_TIMEOUT,
    TCP_WINDOW_CLAMP,
)

Key = tuple[int, int]

_LARGEST_INT = (1 << 31) - 1


class Option(NamedTuple):
    """An integer option."""

    default: int
    stored: Callable[[int], int]
    """Returns the value that `getsockopt` returns after a value is set. Raises OSError(EINVAL)."""
    host: str | None = None
    """The name of the option on a connection of the host, None if the value is only stored."""
    unix: bool = True
    """Whether socket pairs have the option."""


def _flag(value: int) -> int:
    return int(value != 0)


def _any(value: int) -> int:
    return value


def _read_only(value: int) -> int:
    raise os_error("ENOPROTOOPT")


def _within(lowest: int, highest: int) -> Callable[[int], int]:
    """Returns the check of a number from `lowest` to `highest`."""

    def check(value: int) -> int:
        if not lowest <= value <= highest:
            raise os_error("EINVAL")
        return value

    return check


def _or_default(default: int, marker: int, check: Callable[[int], int]) -> Callable[[int], int]:
    """Returns a check for which `marker` stands for the default."""
    return lambda value: default if value == marker else check(value)


def _buffer(least: int) -> Callable[[int], int]:
    """Returns the check of a buffer's size in bytes. Linux doubles it, and bounds it."""

    def double(value: int) -> int:
        # Linux takes the number as unsigned.
        return max(2 * min(value if value >= 0 else _LARGEST_INT, _LARGEST_BUFFER), least)

    return double


# Half of the largest buffer in bytes: Linux's default of `net.core.rmem_max`.
_LARGEST_BUFFER = 212992

# The retransmission times in seconds to which Linux rounds TCP_DEFER_ACCEPT up.
_RETRANSMISSIONS = (
    0, 1, 3, 7, 15, 31, 63, 127,
    *(127 + 120 * more for more in range(1, 249)),
)  # fmt: skip


def _defer_accept(value: int) -> int:
    if value <= 0:
        return 0
    return next((time for time in _RETRANSMISSIONS if time >= value), _RETRANSMISSIONS[-1])


def _linger2(value: int) -> int:
    if value < 0:
        return -1
    return 60 if value == 0 else min(value, 120)


def _window_clamp(value: int) -> int:
    return 0 if value == 0 else max(value if value > 0 else 0, 1152)


def _low_water(value: int) -> int:
    return _LARGEST_LOW_WATER if value < 0 else min(max(value, 1), _LARGEST_LOW_WATER)


_LARGEST_LOW_WATER = 1 << 24


def _traffic_class(value: int) -> int:
    # TCP keeps the bits of explicit congestion notification (RFC 3168) to itself.
    return value & 0xFC


# The default of TCP's segments in bytes: 536 (RFC 9293, 3.7.1).
_SEGMENT = 536

OPTIONS: dict[Key, Option] = {
    (SOL_SOCKET, SO_DEBUG): Option(0, _flag),
    (SOL_SOCKET, SO_REUSEADDR): Option(0, _flag),
    (SOL_SOCKET, SO_REUSEPORT): Option(0, _flag, unix=False),
    (SOL_SOCKET, SO_DONTROUTE): Option(0, _flag),
    (SOL_SOCKET, SO_BROADCAST): Option(0, _flag),
    (SOL_SOCKET, SO_SNDBUF): Option(16384, _buffer(4608)),
    (SOL_SOCKET, SO_RCVBUF): Option(131072, _buffer(2304)),
    (SOL_SOCKET, SO_KEEPALIVE): Option(0, _flag, "keep_alive"),
    (SOL_SOCKET, SO_OOBINLINE): Option(0, _flag),
    (SOL_SOCKET, SO_PRIORITY): Option(0, _any),
    (SOL_SOCKET, SO_RCVLOWAT): Option(1, _low_water),
    (SOL_SOCKET, SO_SNDLOWAT): Option(1, _read_only),
    (SOL_SOCKET, SO_INCOMING_CPU): Option(-1, _any),
    (IPPROTO_TCP, TCP_NODELAY): Option(0, _flag, "no_delay"),
    (IPPROTO_TCP, TCP_MAXSEG): Option(_SEGMENT, _or_default(_SEGMENT, 0, _within(88, 32767))),
    (IPPROTO_TCP, TCP_CORK): Option(0, _flag),
    (IPPROTO_TCP, TCP_KEEPIDLE): Option(7200, _within(1, 32767), "idle"),
    (IPPROTO_TCP, TCP_KEEPINTVL): Option(75, _within(1, 32767), "interval"),
    (IPPROTO_TCP, TCP_KEEPCNT): Option(9, _within(1, 127), "count"),
    (IPPROTO_TCP, TCP_SYNCNT): Option(6, _within(1, 127)),
    (IPPROTO_TCP, TCP_LINGER2): Option(60, _linger2),
    (IPPROTO_TCP, TCP_DEFER_ACCEPT): Option(0, _defer_accept),
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): Option(0, _window_clamp),
    (IPPROTO_TCP, TCP_QUICKACK): Option(1, _flag),
    (IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS): Option(0, _within(0, 1)),
    (IPPROTO_TCP, TCP_THIN_DUPACK): Option(0, _within(0, 1)),
    (IPPROTO_TCP, TCP_USER_TIMEOUT): Option(0, _within(0, _LARGEST_INT), "user_timeout"),
    (IPPROTO_TCP, TCP_FASTOPEN): Option(
        0, lambda value: min(_within(0, _LARGEST_INT)(value), 4096)
    ),
    (IPPROTO_TCP, TCP_FASTOPEN_CONNECT): Option(0, _within(0, 1)),
    (IPPROTO_TCP, TCP_NOTSENT_LOWAT): Option(0, _any),
    (IPPROTO_IP, IP_TOS): Option(0, _traffic_class),
    (IPPROTO_IP, IP_TTL): Option(64, _or_default(64, -1, _within(1, 255))),
    (IPPROTO_IP, IP_RECVOPTS): Option(0, _flag),
    (IPPROTO_IP, IP_RECVRETOPTS): Option(0, _flag),
    (IPPROTO_IP, IP_RECVTOS): Option(0, _flag),
    (IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT): Option(0, _flag),
    (IPPROTO_IP, IP_MULTICAST_LOOP): Option(1, _flag),
    (IPPROTO_IPV6, IPV6_V6ONLY): Option(0, _flag),
    (IPPROTO_IPV6, IPV6_UNICAST_HOPS): Option(64, _or_default(64, -1, _within(0, 255))),
    (IPPROTO_IPV6, IPV6_MULTICAST_LOOP): Option(1, _within(0, 1)),
    (IPPROTO_IPV6, IPV6_TCLASS): Option(
        0, lambda value: _traffic_class(_or_default(0, -1, _within(0, 255))(value))
    ),
    (IPPROTO_IPV6, IPV6_DONTFRAG): Option(0, _flag),
    (IPPROTO_IPV6, IPV6_RECVPKTINFO): Option(0, _flag),
    (IPPROTO_IPV6, IPV6_RECVHOPLIMIT): Option(0, _flag),
    (IPPROTO_IPV6, IPV6_RECVTCLASS): Option(0, _flag),
}
"""The options of stream sockets."""

UDP_OPTIONS: dict[Key, Option] = {
    (SOL_SOCKET, SO_SNDBUF): Option(212992, _buffer(4608)),
    (SOL_SOCKET, SO_RCVBUF): Option(212992, _buffer(2304)),
    (SOL_SOCKET, SO_RCVLOWAT): Option(
        1, lambda value: _LARGEST_INT if value < 0 else max(value, 1)
    ),
    (IPPROTO_IP, IP_TOS): Option(0, lambda value: value & 0xFF),
    (IPPROTO_IP, IP_MULTICAST_TTL): Option(1, _or_default(1, -1, _within(0, 255))),
    (IPPROTO_IPV6, IPV6_MULTICAST_HOPS): Option(1, _or_default(1, -1, _within(0, 255))),
    (IPPROTO_IPV6, IPV6_TCLASS): Option(0, _or_default(0, -1, _within(0, 255))),
}
"""The options of UDP sockets that differ from those of stream sockets, or that only they have."""

UNIX_OPTIONS: dict[Key, Option] = {
    (SOL_SOCKET, SO_SNDBUF): UDP_OPTIONS[SOL_SOCKET, SO_SNDBUF],
    (SOL_SOCKET, SO_RCVBUF): UDP_OPTIONS[SOL_SOCKET, SO_RCVBUF],
    (SOL_SOCKET, SO_RCVLOWAT): UDP_OPTIONS[SOL_SOCKET, SO_RCVLOWAT],
    (SOL_SOCKET, SO_PASSCRED): Option(0, _flag),
}
"""The options of socket pairs that differ from those of other stream sockets."""
