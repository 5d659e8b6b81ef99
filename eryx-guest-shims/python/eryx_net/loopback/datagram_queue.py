"""The receive queue of a UDP socket, for datagrams from sockets of the same program."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ..addresses import LOOPBACK, WILDCARDS
from ..socket_constants import AF_INET, AF_INET6

Address = tuple[str, int]

CAPACITY = 212992
"""The capacity of a queue in bytes, Linux's default. Datagrams beyond it are dropped."""

OVERHEAD = 256
"""The bytes of the capacity that a datagram uses in addition to its payload."""


class Datagram(NamedTuple):
    """A received datagram."""

    data: bytes
    size: int
    """The size of the payload in bytes before it was truncated."""
    source: Address


class DatagramQueue:
    """The datagrams that a socket has not received yet."""

    __slots__ = ("_size", "peer", "pending")

    def __init__(self) -> None:
        self.pending: deque[Datagram] = deque()
        self._size = 0
        self.peer: Address | None = None
        """The peer of a connected socket, which receives from no other source."""

    def put(self, data: bytes, source: Address) -> None:
        """Adds a datagram. Drops it if the queue is full or the source is not the peer."""
        size = len(data) + OVERHEAD
        if self._size + size > CAPACITY or (self.peer is not None and self.peer != source):
            return
        self._size += size
        self.pending.append(Datagram(data, len(data), source))

    def take(self) -> Datagram:
        """Removes and returns the oldest datagram."""
        datagram = self.pending.popleft()
        self._size -= datagram.size + OVERHEAD
        return datagram

    def clear(self) -> None:
        """Drops all datagrams."""
        self.pending.clear()
        self._size = 0


def source_address(address: str, port: int, target: str) -> Address:
    """Returns the source of a datagram from a socket bound to `address` to a loopback `target`."""
    if address in WILDCARDS:
        address = LOOPBACK[AF_INET6 if ":" in target else AF_INET]
    return address, port
