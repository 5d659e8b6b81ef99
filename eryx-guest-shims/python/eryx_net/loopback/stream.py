"""Connections inside the sandbox: socket pairs, and listeners on loopback.

Both ends are in guest memory and never reach the host. An operation that waits for the other end
lets the other threads of the program run (`eryx_guest/threads/network_waits.py`). If none of them
can continue, it fails after its timeout; without a timeout it raises `OSError(EDEADLK)` instead of
hanging.

The ends of a socket pair answer as Linux's Unix sockets do, the others as its TCP sockets over
loopback, whose peer answers to data that it does not take only after that was sent.
"""

from __future__ import annotations

import time
from collections import deque

from .. import interval_timers
from ..errors import error_number, os_error
from ..socket_constants import SHUT_RD, SHUT_WR
from ..sockets.hang_up import ERROR, HANG_UP, READ_HANG_UP
from ..sockets.options import TimeLimits

CAPACITY = 64 << 10
"""The capacity of one direction in bytes. A write blocks when it is full."""

LARGEST_BACKLOG = 128
"""The upper bound of the backlog passed to `listen`, in connections."""

Address = tuple[str, int]


def would_deadlock(timeout: int | None, operation: str) -> OSError:
    """Sleeps for `timeout` nanoseconds, then returns the error of an operation that cannot proceed.

    No other thread can let it proceed, so waiting for the other end would never succeed.
    """
    if timeout is None:
        return os_error(
            "EDEADLK",
            f"{operation} would wait for ever: the other end is in this program, and no other "
            "thread of it can continue. Use a timeout, a non-blocking socket or asyncio.",
        )
    if timeout == 0:
        return os_error("EAGAIN")
    time.sleep(timeout / 1e9)
    return TimeoutError("timed out")


def wait_for_timer(timeout: int | None, operation: str) -> None:
    """Waits for the timer of `setitimer`, whose handler may let an operation proceed (PEP 475).

    Raises the error of an operation that cannot proceed if there is no timer.
    """
    if timeout is not None or not interval_timers.wait():
        raise would_deadlock(timeout, operation)


def _end_of_limit(limit: int, operation: str) -> OSError:
    """Returns the error after SO_RCVTIMEO or SO_SNDTIMEO: that of a non-blocking socket."""
    error = would_deadlock(limit, operation)
    return os_error("EAGAIN") if isinstance(error, TimeoutError) else error


class Pipe:
    """One direction of a connection: the bytes written and not yet read."""

    __slots__ = ("buffer", "error", "reader_closed", "reader_shut_down", "reset", "writer_closed")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.writer_closed = False
        """Whether the writer has ended the stream."""
        self.reader_shut_down = False
        """Whether the reader has shut down receiving."""
        self.reader_closed = False
        """Whether the reader has closed its socket."""
        self.reset = False
        """Whether the writer has reset the connection."""
        self.error: str | None = None
        """The name of the reader's pending error, which its next operation or SO_ERROR returns."""

    def set_reset(self) -> None:
        """Ends the connection by a reset of the writer."""
        # After the end of the stream, Linux reports a reset as EPIPE.
        self.error = "EPIPE" if self.writer_closed else "ECONNRESET"
        self.reset = True


class Stream:
    """One end of an in-guest connection."""

    __slots__ = (
        "_incoming",
        "_is_unix",
        "_local",
        "_outgoing",
        "_peer",
        "_resets_on_close",
        "time_limits",
    )

    def __init__(
        self, incoming: Pipe, outgoing: Pipe, local: Address | None, peer: Address | None
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._local = local
        self._peer = peer
        self._is_unix = local is None
        self._resets_on_close = False
        self.time_limits: TimeLimits | None = None

    def read(self, size: int, timeout: int | None) -> bytes:
        """Returns up to `size` bytes; none at the end of the stream."""
        data = self.peek(size, timeout)
        del self._incoming.buffer[: len(data)]
        return data

    def peek(self, size: int, timeout: int | None) -> bytes:
        """Like `read`, but does not consume the bytes."""
        pipe = self._incoming
        while not pipe.buffer:
            # The end of the stream that arrived before an error hides it, on TCP.
            if pipe.error is not None and (self._is_unix or not pipe.writer_closed):
                raise self._take_error()
            if pipe.writer_closed or pipe.reader_shut_down or pipe.reset:
                return b""
            limits = self.time_limits
            if timeout is None and limits is not None and limits.receive is not None:
                raise _end_of_limit(limits.receive, "reading")
            wait_for_timer(timeout, "reading")
        return bytes(pipe.buffer[:size])

    def write(self, data: bytes, timeout: int | None) -> int:
        """Sends; returns the number of bytes accepted."""
        pipe = self._outgoing
        if self._is_unix:
            # The next read has a pending error.
            if pipe.writer_closed or pipe.reader_closed or pipe.reader_shut_down:
                raise os_error("EPIPE")
        elif not self._check_peer(data):
            return len(data)
        while data and len(pipe.buffer) >= CAPACITY:
            limits = self.time_limits
            if timeout is None and limits is not None and limits.send is not None:
                raise _end_of_limit(limits.send, "writing")
            wait_for_timer(timeout, "writing")
        part = data[: CAPACITY - len(pipe.buffer)]
        pipe.buffer += part
        return len(part)

    def _check_peer(self, data: bytes) -> bool:
        """Returns whether the peer of a TCP connection takes bytes. If not, it may reset it."""
        pipe = self._outgoing
        if self._incoming.error is not None:
            raise self._take_error()
        if pipe.writer_closed or self._incoming.reset:
            raise os_error("EPIPE")
        if not data:
            return False
        if pipe.reader_closed:
            # The peer answers with a reset, after the write.
            self._incoming.set_reset()
            return False
        if pipe.reader_shut_down and self._incoming.writer_closed:
            # A peer that has shut down both directions resets the connection when data arrives.
            pipe.set_reset()
            self._incoming.set_reset()
            return False
        return True

    def _take_error(self) -> OSError:
        name, self._incoming.error = self._incoming.error, None
        assert name is not None  # checked by the callers
        return os_error(name)

    def take_error(self) -> int:
        """Returns the pending error number (SO_ERROR), 0 for none."""
        name, self._incoming.error = self._incoming.error, None
        return 0 if name is None else error_number(name)

    def shutdown(self, how: int) -> None:
        """Shuts down receiving, sending or both. Raises OSError(ENOTCONN) after a reset."""
        if self._is_ended():
            raise os_error("ENOTCONN")
        if how != SHUT_WR:
            self._incoming.reader_shut_down = True
        if how != SHUT_RD:
            self._outgoing.writer_closed = True

    def _is_ended(self) -> bool:
        """Returns whether the connection has ended in both directions, as TCP sees it."""
        ended = self._incoming.writer_closed and self._outgoing.writer_closed
        return not self._is_unix and (self._incoming.reset or ended)

    def local_address(self) -> Address | None:
        """Returns the address of this end."""
        return self._local

    def peer_address(self) -> Address | None:
        """Returns the address of the other end, None once the connection has ended."""
        return None if self._is_ended() else self._peer

    def set_option(self, name: str, value: int) -> None:
        """Sets whether `close` resets. Without delays and dead peers, all other options hold."""
        if name == "reset_on_close":
            self._resets_on_close = bool(value)

    def readable_now(self) -> bool | None:
        """Returns whether a read would not block."""
        pipe = self._incoming
        return bool(
            pipe.buffer
            or pipe.writer_closed
            or pipe.reader_shut_down
            or pipe.reset
            or pipe.error is not None
        )

    def writable_now(self) -> bool | None:
        """Returns whether a write would not block."""
        pipe = self._outgoing
        return (
            pipe.reader_closed
            or pipe.writer_closed
            or self._incoming.reset
            or self._incoming.error is not None
            or len(pipe.buffer) < CAPACITY
        )

    def hung_up(self) -> bool:
        """Returns whether both directions have ended."""
        return bool(self.status() & HANG_UP)

    def status(self) -> int:
        """Returns `HANG_UP`, `ERROR` and `READ_HANG_UP`, as far as they hold."""
        incoming, outgoing = self._incoming, self._outgoing
        flags = 0
        reading_ended = incoming.writer_closed or incoming.reader_shut_down or incoming.reset
        if reading_ended:
            flags |= READ_HANG_UP
        writing_ended = outgoing.writer_closed
        if self._is_unix:
            # The peer's end of a pair shuts down both directions for each other.
            writing_ended = writing_ended or outgoing.reader_shut_down or outgoing.reader_closed
        if incoming.reset or (reading_ended and writing_ended):
            flags |= HANG_UP
        if incoming.error is not None:
            flags |= ERROR
        return flags

    def close(self) -> None:
        """Closes both directions, with a reset if bytes are unread (RFC 1122, 4.2.2.13)."""
        resets = bool(self._incoming.buffer) or (self._resets_on_close and not self._is_unix)
        self._incoming.buffer.clear()
        self._incoming.reader_shut_down = self._incoming.reader_closed = True
        if resets:
            self._outgoing.set_reset()
        if not resets or self._is_unix:
            self._outgoing.writer_closed = True


def pair(first: Address | None = None, second: Address | None = None) -> tuple[Stream, Stream]:
    """Returns the two ends of a new connection, with their addresses; Unix sockets without."""
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
        while not self.queue:
            wait_for_timer(timeout, "accept")
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
            stream.set_option("reset_on_close", 1)
            stream.close()
