"""The readiness of descriptors: in-guest ones from memory, all others in one call of the host."""

from __future__ import annotations

import os
from collections.abc import Iterable

from .. import descriptors, host
from ..call_descriptor import Call
from ..descriptors import Description
from ..dns.lookup_descriptor import Lookup
from ..errors import os_error
from ..host import NON_BLOCKING, HostCall, HostConnection, HostLookup, HostSocket
from .connection import Connection
from .stream_socket import StreamSocket
from .udp_socket import UdpSocket

READ = 1
WRITE = 2
HANG_UP = 4
ERROR = 8
INVALID = 16


class _PollSet:
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

    def _add_stream_socket(self, fd: int, interest: int, socket: StreamSocket) -> None:
        if socket.listener is not None:
            if interest & READ and socket.listener.queue:
                self.mark(fd, READ)
            return
        channel = socket.channel
        if channel is None:
            # Linux's result for a socket that was never connected.
            self.mark(fd, interest & WRITE | HANG_UP)
            return
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
                    "waiting would never end: nothing waited for can happen while this program, "
                    "which has one thread, waits",
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
            self.mark(fd, ERROR | HANG_UP)


def wait(interests: Iterable[tuple[int, int]], timeout: int | None) -> dict[int, int]:
    """Waits up to `timeout` nanoseconds until a descriptor is ready for its interest.

    Returns the flags of each ready descriptor. Raises OSError(EDEADLK) without a timeout where no
    descriptor could ever become ready.
    """
    poll_set = _PollSet()
    poll_set.add_all(interests)
    return poll_set.run(timeout)
