"""Sockets between two ends of the same guest: socket pairs, and listeners on loopback.

They live in guest memory and never reach the host. The guest has one thread, so an operation that
would have to wait for the other end while nobody runs it can never end. With a timeout it takes
that long and fails; without one it raises `OSError(EDEADLK)` rather than hang.
"""

from __future__ import annotations

import time
from collections import deque

from .failures import failure
from .socket_constants import SHUT_RD, SHUT_WR

CAPACITY = 64 << 10
"""How many bytes one direction holds before writing would block."""

LARGEST_BACKLOG = 128
"""The most connections that wait to be accepted, whatever `listen` was given."""

Address = tuple[str, int]


def wait_in_vain(timeout: int | None, what: str) -> OSError:
    """The error for an operation on an in-guest socket that cannot proceed, after its timeout."""
    if timeout is None:
        return failure(
            "EDEADLK",
            f"{what} would wait for ever: the other end is in this program, which has one thread. "
            "Use a timeout, a non-blocking socket or asyncio.",
        )
    if timeout == 0:
        return failure("EAGAIN")
    time.sleep(timeout / 1e9)
    return TimeoutError("timed out")


class Pipe:
    """One direction: bytes on their way from a writer to a reader."""

    __slots__ = ("buffer", "ended", "refused", "reset")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.ended = False
        """The writer sends no more."""
        self.refused = False
        """The reader reads no more."""
        self.reset = False
        """The writer went away with bytes unread; reported once, to the reader."""


class Stream:
    """One end of an in-guest connection."""

    __slots__ = ("_incoming", "_local", "_outgoing", "_peer")

    def __init__(
        self, incoming: Pipe, outgoing: Pipe, local: Address | None, peer: Address | None
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._local = local
        self._peer = peer

    def read(self, size: int, timeout: int | None) -> bytes:
        """Up to `size` bytes; none at the end of the stream."""
        data = self.peek(size, timeout)
        del self._incoming.buffer[: len(data)]
        return data

    def peek(self, size: int, timeout: int | None) -> bytes:
        """Like `read`, but the bytes stay."""
        pipe = self._incoming
        if pipe.refused:
            return b""
        if pipe.buffer:
            return bytes(pipe.buffer[:size])
        if pipe.reset:
            pipe.reset = False
            raise failure("ECONNRESET")
        if pipe.ended:
            return b""
        raise wait_in_vain(timeout, "reading")

    def write(self, data: bytes, timeout: int | None) -> int:
        """Send, and say how much of it was taken."""
        pipe = self._outgoing
        if self._incoming.reset:
            self._incoming.reset = False
            raise failure("ECONNRESET")
        if pipe.ended or pipe.refused:
            raise failure("EPIPE")
        room = CAPACITY - len(pipe.buffer)
        if room <= 0 and data:
            raise wait_in_vain(timeout, "writing")
        part = data[:room]
        pipe.buffer += part
        return len(part)

    def shutdown(self, how: int) -> None:
        """End receiving, sending or both."""
        if how != SHUT_WR:
            self._incoming.refused = True
            self._incoming.buffer.clear()
        if how != SHUT_RD:
            self._outgoing.ended = True

    def local(self) -> Address | None:
        """This end's address."""
        return self._local

    def peer(self) -> Address | None:
        """The other end's address."""
        return self._peer

    def set_option(self, name: str, value: int) -> None:
        """Delays and dead peers do not exist here: every such option holds."""

    def readable_now(self) -> bool | None:
        """Whether reading would not block."""
        pipe = self._incoming
        return bool(pipe.buffer) or pipe.ended or pipe.refused or pipe.reset

    def writable_now(self) -> bool | None:
        """Whether writing would not block."""
        pipe = self._outgoing
        return pipe.refused or pipe.ended or len(pipe.buffer) < CAPACITY

    def hung_up(self) -> bool:
        """Whether both directions have ended."""
        return self._incoming.ended and (self._outgoing.ended or self._outgoing.refused)

    def close(self) -> None:
        """End both directions; bytes left unread make it a reset for the other end (RFC 1122,
        4.2.2.13).
        """
        self._outgoing.reset = bool(self._incoming.buffer)
        self.shutdown(2)


def pair(first: Address | None = None, second: Address | None = None) -> tuple[Stream, Stream]:
    """Two connected ends."""
    there, back = Pipe(), Pipe()
    return Stream(back, there, first, second), Stream(there, back, second, first)


class Listener:
    """A listening in-guest socket: connections that wait to be accepted."""

    __slots__ = ("address", "backlog", "queue")

    def __init__(self, address: Address, backlog: int) -> None:
        self.address = address
        self.backlog = backlog
        self.queue: deque[Stream] = deque()

    def accept(self, timeout: int | None) -> Stream:
        """The connection that has waited longest."""
        if not self.queue:
            raise wait_in_vain(timeout, "accept")
        return self.queue.popleft()

    def connect(self, source: Address, target: Address) -> Stream:
        """A new connection to this listener; refused when too many wait already."""
        # Linux takes one more than the backlog says.
        if len(self.queue) > min(max(self.backlog, 0), LARGEST_BACKLOG):
            raise failure("ECONNREFUSED")
        near, far = pair(source, target)
        self.queue.append(far)
        return near

    def close(self) -> None:
        """Reset what was never accepted."""
        while self.queue:
            stream = self.queue.popleft()
            stream._outgoing.reset = True
            stream.shutdown(2)
