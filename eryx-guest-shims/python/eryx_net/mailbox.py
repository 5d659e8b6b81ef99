"""Datagrams on their way from one socket of the guest to another."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .ports import WILDCARDS

Address = tuple[str, int]

CAPACITY = 212992
"""How many bytes wait for one socket; what comes on top is lost. Linux's default."""

OVERHEAD = 256
"""What one datagram takes of that besides what it carries."""


class Datagram(NamedTuple):
    """What was received."""

    data: bytes
    size: int
    """How many bytes there were, before they were cut."""
    source: Address


class Mailbox:
    """What has arrived for one socket from inside the guest."""

    __slots__ = ("_size", "peer", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Datagram] = deque()
        self._size = 0
        self.peer: Address | None = None
        """The one peer to hear, once there is one."""

    def put(self, data: bytes, source: Address) -> None:
        """Deliver, unless there is no room or it is from somebody else than the peer."""
        size = len(data) + OVERHEAD
        if self._size + size > CAPACITY or (self.peer is not None and self.peer != source):
            return
        self._size += size
        self.waiting.append(Datagram(data, len(data), source))

    def take(self) -> Datagram:
        """The datagram that has waited longest."""
        datagram = self.waiting.popleft()
        self._size -= datagram.size + OVERHEAD
        return datagram

    def empty(self) -> None:
        """Lose what waits."""
        self.waiting.clear()
        self._size = 0


def source(address: str, port: int, target: str) -> Address:
    """The address a datagram to a loopback `target` is from."""
    if address in WILDCARDS:
        address = "::1" if ":" in target else "127.0.0.1"
    return address, port
