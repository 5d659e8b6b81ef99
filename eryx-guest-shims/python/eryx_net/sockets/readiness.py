"""The readiness of descriptors: in-guest ones from memory, all others in one call of the host."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .. import descriptors, host, interval_timers
from ..call_descriptor import Call
from ..descriptors import Description
from ..dns.lookup_descriptor import Lookup
from ..errors import os_error
from ..host import NON_BLOCKING, HostCall, HostConnection, HostLookup, HostSocket
from ..pipes import ReadEnd, WriteEnd
from ..timeouts import Deadline
from .connection import Connection
from .hang_up import ERROR, HANG_UP, READ_HANG_UP
from .stream_socket import Channel, StreamSocket
from .udp_socket import UdpSocket

READ = 1
WRITE = 2
INVALID = 16

# While unread bytes make a connection readable, its end is looked for at this interval, in
# nanoseconds: only the host's poll for readable connections wakes up for it.
_STATUS_INTERVAL = 10_000_000

ALWAYS = HANG_UP | ERROR | INVALID
"""The flags that end a wait whatever its interest is."""


class PollSet:
    """The state of one wait: the descriptors found ready, and the resources to poll on the host.

    Each list of resources has a list of their descriptors, in the same order.
    """

    def __init__(self) -> None:
        self.ready: dict[int, int] = {}
        self.readable: list[HostConnection] = []
        self.readable_fds: list[int] = []
        self.writable: list[HostConnection] = []
        self.writable_fds: list[int] = []
        self.receivable: list[HostSocket] = []
        self.receivable_fds: list[int] = []
        self.sendable: list[HostSocket] = []
        self.sendable_fds: list[int] = []
        self.connecting: list[tuple[int, Connection]] = []
        self.lookups: list[HostLookup] = []
        self.lookup_fds: list[int] = []
        self.calls: list[HostCall] = []
        self.call_fds: list[int] = []

    def add_all(self, interests: Iterable[tuple[int, int]]) -> None:
        find = descriptors.find
        for fd, interest in interests:
            description = find(fd)
            # The common case, inlined: an event loop polls all its connections every time.
            if interest == READ and description.__class__ is StreamSocket:
                channel = description.channel
                if (
                    channel.__class__ is Connection
                    and channel.established
                    and channel.readable_now() is None
                ):
                    self.readable.append(channel.resource)
                    self.readable_fds.append(fd)
                    continue
            self._add(fd, interest, description)

    def add(self, key: Any, interest: int, resource: Description | Connection | None) -> None:
        """Adds a resource under a key, or without one the descriptor `key`."""
        if isinstance(resource, Connection):
            self._add_channel(key, interest, resource)
        else:
            self._add(key, interest, resource or descriptors.find(key))

    def _add(self, fd: int, interest: int, description: Description | None) -> None:
        if description is None:
            self._add_file(fd, interest)
        elif isinstance(description, Lookup):
            if description.resource is host.LOST:
                self.mark(fd, interest & READ)
            elif interest & READ and description.resource is not None:
                self.lookups.append(description.resource)
                self.lookup_fds.append(fd)
        elif isinstance(description, Call):
            if description.resource is host.LOST:
                self.mark(fd, interest & READ)
            elif interest & READ:
                self.calls.append(description.resource)
                self.call_fds.append(fd)
        elif isinstance(description, StreamSocket):
            self._add_stream_socket(fd, interest, description)
        elif isinstance(description, UdpSocket):
            self._add_udp_socket(fd, interest, description)
        elif isinstance(description, (ReadEnd, WriteEnd)):
            self._add_pipe(fd, interest, description)

    def _add_pipe(self, fd: int, interest: int, end: ReadEnd | WriteEnd) -> None:
        if isinstance(end, ReadEnd):
            if end.pipe.buffer:
                self.mark(fd, interest & READ)
            if not end.pipe.has_writer:
                self.mark(fd, HANG_UP)
            return
        if end.writable_now():
            self.mark(fd, interest & WRITE)
        if not end.pipe.has_reader:
            self.mark(fd, ERROR)

    def _add_stream_socket(self, fd: int, interest: int, socket: StreamSocket) -> None:
        if socket.listener is not None:
            if interest & READ and socket.listener.queue:
                self.mark(fd, READ)
            return
        channel = socket.channel
        if channel is None:
            # Linux's result for a socket that was never connected.
            readable = READ if socket.connect_failed else 0
            self.mark(fd, interest & (WRITE | readable) | HANG_UP)
            return
        self._add_channel(fd, interest, channel)

    def _add_channel(self, fd: int, interest: int, channel: Channel) -> None:
        if channel.hung_up():
            self.mark(fd, HANG_UP)
        if interest & READ:
            ready = channel.readable_now()
            if ready:
                self.mark(fd, READ)
            elif ready is None and isinstance(channel, Connection):
                self.readable.append(channel.resource)
                self.readable_fds.append(fd)
        if interest & WRITE:
            ready = channel.writable_now()
            if ready:
                self.mark(fd, WRITE)
            elif ready is None and isinstance(channel, Connection):
                self.writable.append(channel.resource)
                self.writable_fds.append(fd)
        if isinstance(channel, Connection) and not channel.established:
            self.connecting.append((fd, channel))

    def _add_udp_socket(self, fd: int, interest: int, socket: UdpSocket) -> None:
        if socket.hung_up():
            self.mark(fd, HANG_UP)
        if interest & READ:
            ready = socket.readable_now()
            if ready:
                self.mark(fd, READ)
            elif ready is None:
                self.receivable.append(socket.resource)
                self.receivable_fds.append(fd)
        if interest & WRITE:
            if socket.writable_now():
                self.mark(fd, WRITE)
            else:
                self.sendable.append(socket.resource)
                self.sendable_fds.append(fd)

    def _add_file(self, fd: int, interest: int) -> None:
        try:
            os.fstat(fd)
        except (OSError, OverflowError):
            self.mark(fd, INVALID)
        else:
            # Files never block.
            self.mark(fd, interest)

    def mark(self, fd: int, flags: int) -> None:
        if flags:
            self.ready[fd] = self.ready.get(fd, 0) | flags

    def run(self, timeout: int | None) -> dict[int, int]:
        """Waits, and returns the ready descriptors."""
        polls_host = bool(
            self.readable
            or self.writable
            or self.receivable
            or self.sendable
            or self.lookups
            or self.calls
        )
        if self.ready:
            timeout = NON_BLOCKING
        if not polls_host:
            if timeout == NON_BLOCKING:
                return self.ready
            if timeout is None:
                raise os_error(
                    "EDEADLK",
                    "this wait cannot end: only this program could cause the event, and none of "
                    "its other threads can run",
                )
        polled = host.poll(
            self.readable,
            self.writable,
            self.receivable,
            self.sendable,
            self.lookups,
            self.calls,
            timeout,
        )
        for indexes, fds, flag in (
            (polled.readable, self.readable_fds, READ),
            (polled.writable, self.writable_fds, WRITE),
            (polled.receivable, self.receivable_fds, READ),
            (polled.sendable, self.sendable_fds, WRITE),
            (polled.lookups, self.lookup_fds, READ),
            (polled.calls, self.call_fds, READ),
        ):
            for index in indexes:
                self.mark(fds[index], flag)
        for fd, channel in self.connecting:
            if fd in self.ready:
                self._finish_connect(fd, channel)
        return self.ready

    def _finish_connect(self, fd: int, channel: Connection) -> None:
        try:
            channel.finish_connect(NON_BLOCKING)
        except BlockingIOError:
            pass
        except OSError:
            self.mark(fd, channel.status() & (ERROR | HANG_UP))


def wait(interests: Iterable[tuple[int, int]], timeout: int | None) -> dict[int, int]:
    """Waits up to `timeout` nanoseconds until a descriptor is ready for its interest.

    Returns the flags of each ready descriptor. Raises OSError(EDEADLK) without a timeout where no
    descriptor could ever become ready.
    """
    if interval_timers.deadline is not None and timeout != NON_BLOCKING:
        return _wait_with_timer(list(interests), timeout)
    poll_set = PollSet()
    poll_set.add_all(interests)
    return poll_set.run(timeout)


def _wait_with_timer(interests: list[tuple[int, int]], timeout: int | None) -> dict[int, int]:
    """Waits like `wait`, and calls the handler of a timer that ends meanwhile (PEP 475)."""
    deadline = Deadline(timeout)
    while True:
        poll_set = PollSet()
        poll_set.add_all(interests)
        left = _remaining(deadline)
        ready = poll_set.run(interval_timers.bounded(left) if left != NON_BLOCKING else left)
        interval_timers.expire_if_due()
        if ready or left == NON_BLOCKING:
            return ready


def wait_with_status(interests: Iterable[tuple[int, int]], timeout: int | None) -> dict[int, int]:
    """Waits like `wait`, and reports hang-ups and errors of connections as poll(2) does.

    An interest may be 0, or include `READ_HANG_UP`. Costs one call of the host for each connection.
    """
    interests = list(interests)
    deadline = Deadline(timeout)
    while True:
        ready: dict[int, int] = {}
        watched: list[tuple[int, int]] = []
        has_unread_bytes = False
        for fd, interest in interests:
            channel = _channel(fd)
            if channel is None:
                if interest & READ_HANG_UP and _reading_has_ended(fd):
                    ready[fd] = READ_HANG_UP
                watched.append((fd, interest & ~READ_HANG_UP))
                continue
            status = channel.status() & (ALWAYS | interest)
            if status:
                ready[fd] = status
            if not interest & READ and isinstance(channel, Connection):
                # Readable as well at the end of the stream, and after a reset.
                if channel.readable_now() or wait([(fd, READ)], NON_BLOCKING):
                    has_unread_bytes = True
                else:
                    interest |= READ
            watched.append((fd, interest & ~READ_HANG_UP))
        left = NON_BLOCKING if ready else timeout
        if left != NON_BLOCKING:
            left = _remaining(deadline)
            if has_unread_bytes:
                left = _STATUS_INTERVAL if left is None else min(left, _STATUS_INTERVAL)
        wanted = dict(interests)
        for fd, flags in wait(watched, left).items():
            channel = _channel(fd)
            if channel is not None:
                flags |= channel.status()
            elif _reading_has_ended(fd):
                flags |= READ_HANG_UP
            flags &= wanted[fd] | ALWAYS
            if flags:
                ready[fd] = ready.get(fd, 0) | flags
        if ready or timeout == NON_BLOCKING or _remaining(deadline) == NON_BLOCKING:
            return ready


def _channel(fd: int) -> Channel | None:
    description = descriptors.find(fd)
    return description.channel if isinstance(description, StreamSocket) else None


def _reading_has_ended(fd: int) -> bool:
    """Returns whether a socket without a channel receives no more."""
    description = descriptors.find(fd)
    if isinstance(description, UdpSocket):
        return description.receiving_has_ended()
    return isinstance(description, StreamSocket) and description.connect_failed


def _remaining(deadline: Deadline) -> int | None:
    try:
        return deadline.remaining()
    except TimeoutError:
        return NON_BLOCKING
