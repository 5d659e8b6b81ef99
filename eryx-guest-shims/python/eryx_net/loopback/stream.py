"""Connections inside the sandbox: socket pairs, and listeners on loopback.

Both ends are in guest memory and never reach the host. The program has one thread, so an operation
that waits for the other end can never complete. It fails after its timeout; without a timeout it
raises `OSError(EDEADLK)` instead of hanging.
"""

from __future__ import annotations

import time
from collections import deque

from ..errors import os_error
from ..socket_constants import SHUT_RD, SHUT_WR

CAPACITY = 64 << 10
"""The capacity of one direction in bytes. A write blocks when it is full."""

LARGEST_BACKLOG = 128
"""The upper bound of the backlog passed to `listen`, in connections."""

Address = tuple[str, int]


def would_deadlock(timeout: int | None, operation: str) -> OSError:
    """Sleeps for `timeout` nanoseconds, then returns the error of an operation that cannot proceed.

    Only this thread could let it proceed, so waiting for the other end would never succeed.
    """
    if timeout is None:
        return os_error(
            "EDEADLK",
            f"{operation} would wait for ever: the other end is in this program, which has one "
            "thread. Use a timeout, a non-blocking socket or asyncio.",
        )
    if timeout == 0:
        return os_error("EAGAIN")
    time.sleep(timeout / 1e9)
    return TimeoutError("timed out")


class Pipe:
    """One direction of a connection: the bytes written and not yet read."""

    __slots__ = ("buffer", "reader_closed", "reset", "writer_closed")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.writer_closed = False
        """Whether the writer has shut down sending."""
        self.reader_closed = False
        """Whether the reader has shut down receiving."""
        self.reset = False
        """Whether the writer closed with unread bytes; reported to the reader once."""


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
        """Returns up to `size` bytes; none at the end of the stream."""
        data = self.peek(size, timeout)
        del self._incoming.buffer[: len(data)]
        return data

    def peek(self, size: int, timeout: int | None) -> bytes:
        """Like `read`, but does not consume the bytes."""
        pipe = self._incoming
        if pipe.reader_closed:
            return b""
        if pipe.buffer:
            return bytes(pipe.buffer[:size])
        if pipe.reset:
            pipe.reset = False
            raise os_error("ECONNRESET")
        if pipe.writer_closed:
            return b""
        raise would_deadlock(timeout, "reading")

    def write(self, data: bytes, timeout: int | None) -> int:
        """Sends; returns the number of bytes accepted."""
        pipe = self._outgoing
        if self._incoming.reset:
            self._incoming.reset = False
            raise os_error("ECONNRESET")
        if pipe.writer_closed or pipe.reader_closed:
            raise os_error("EPIPE")
        space = CAPACITY - len(pipe.buffer)
        if space <= 0 and data:
            raise would_deadlock(timeout, "writing")
        part = data[:space]
        pipe.buffer += part
        return len(part)

    def shutdown(self, how: int) -> None:
        """Shuts down receiving, sending or both."""
        if how != SHUT_WR:
            self._incoming.reader_closed = True
            self._incoming.buffer.clear()
        if how != SHUT_RD:
            self._outgoing.writer_closed = True

    def local_address(self) -> Address | None:
        """Returns the address of this end."""
        return self._local

    def peer_address(self) -> Address | None:
        """Returns the address of the other end."""
        return self._peer

    def set_option(self, name: str, value: int) -> None:
        """Does nothing: without delays and dead peers, every option holds."""

    def readable_now(self) -> bool | None:
        """Returns whether a read would not block."""
        pipe = self._incoming
        return bool(pipe.buffer) or pipe.writer_closed or pipe.reader_closed or pipe.reset

    def writable_now(self) -> bool | None:
        """Returns whether a write would not block."""
        pipe = self._outgoing
        return pipe.reader_closed or pipe.writer_closed or len(pipe.buffer) < CAPACITY

    def hung_up(self) -> bool:
        """Returns whether both directions are shut down."""
        return self._incoming.writer_closed and (
            self._outgoing.writer_closed or self._outgoing.reader_closed
        )

    def close(self) -> None:
        """Closes both directions, with a reset if bytes are unread (RFC 1122, 4.2.2.13)."""
        self._outgoing.reset = bool(self._incoming.buffer)
        self.shutdown(2)


def pair(first: Address | None = None, second: Address | None = None) -> tuple[Stream, Stream]:
    """Returns the two ends of a new connection, with their addresses."""
    forward, backward = Pipe(), Pipe()
    return Stream(backward, forward, first, second), Stream(forward, backward, second, first)


class Listener:
    """A listening socket inside the sandbox, with its queue of connections to accept."""

    __slots__ = ("address", "backlog", "queue")

    def __init__(self, address: Address, backlog: int) -> None:
        self.address = address
        self.backlog = backlog
        self.queue: deque[Stream] = deque()

    def accept(self, timeout: int | None) -> Stream:
        """Removes and returns the oldest connection."""
        if not self.queue:
            raise would_deadlock(timeout, "accept")
        return self.queue.popleft()

    def connect(self, source: Address, target: Address) -> Stream:
        """Returns a new connection. Raises OSError(ECONNREFUSED) if the queue is full."""
        # Linux queues one connection more than the backlog.
        if len(self.queue) > min(max(self.backlog, 0), LARGEST_BACKLOG):
            raise os_error("ECONNREFUSED")
        near, far = pair(source, target)
        self.queue.append(far)
        return near

    def close(self) -> None:
        """Resets the connections that were not accepted."""
        while self.queue:
            stream = self.queue.popleft()
            stream._outgoing.reset = True
            stream.shutdown(2)
