"""Which descriptors can be used without blocking: in-guest ones from memory, the rest in one host
call.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from . import descriptors, host
from .connection import Connection
from .datagram_socket import DatagramSocket
from .descriptors import Description
from .failures import failure
from .host import AT_ONCE, HostConnection, HostLookup, HostSocket
from .lookups import Lookup
from .stream_socket import StreamSocket

READ = 1
WRITE = 2
HANG_UP = 4
ERROR = 8
INVALID = 16


class _Wait:
    """What one wait is about: answers that are there already, and what to ask the host."""

    def __init__(self) -> None:
        self.found: dict[int, int] = {}
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

    def add_all(self, interests: Iterable[tuple[int, int]]) -> None:
        find = descriptors.find
        for fd, interest in interests:
            description = find(fd)
            # An event loop asks this of all its connections, every time.
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
            self._add_foreign(fd, interest)
        elif isinstance(description, Lookup):
            if interest & READ and description.resource is not None:
                self.lookups.append(description.resource)
                self.lookup_fds.append(fd)
        elif isinstance(description, StreamSocket):
            self._add_socket(fd, interest, description)
        elif isinstance(description, DatagramSocket):
            self._add_datagrams(fd, interest, description)

    def _add_socket(self, fd: int, interest: int, socket: StreamSocket) -> None:
        if socket.listener is not None:
            if interest & READ and socket.listener.queue:
                self.mark(fd, READ)
            return
        channel = socket.channel
        if channel is None:
            # As Linux has it for a socket that was never connected.
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

    def _add_datagrams(self, fd: int, interest: int, socket: DatagramSocket) -> None:
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

    def _add_foreign(self, fd: int, interest: int) -> None:
        try:
            os.fstat(fd)
        except (OSError, OverflowError):
            self.mark(fd, INVALID)
        else:
            # Files never block.
            self.mark(fd, interest)

    def mark(self, fd: int, flags: int) -> None:
        if flags:
            self.found[fd] = self.found.get(fd, 0) | flags

    def run(self, timeout: int | None) -> dict[int, int]:
        """Wait, and say what is ready."""
        asks_host = bool(
            self.readable or self.writable or self.receivable or self.sendable or self.lookups
        )
        if self.found:
            timeout = AT_ONCE
        if not asks_host:
            if timeout == AT_ONCE:
                return self.found
            if timeout is None:
                raise failure(
                    "EDEADLK",
                    "waiting would never end: nothing waited for can happen while this program, "
                    "which has one thread, waits",
                )
        ready = host.wait_for(
            self.readable, self.writable, self.receivable, self.sendable, self.lookups, timeout
        )
        for at in ready.readable:
            self.mark(self.readable_fds[at], READ)
        for at in ready.writable:
            self.mark(self.writable_fds[at], WRITE)
        for at in ready.receivable:
            self.mark(self.receivable_fds[at], READ)
        for at in ready.sendable:
            self.mark(self.sendable_fds[at], WRITE)
        for at in ready.lookups:
            self.mark(self.lookup_fds[at], READ)
        for fd, channel in self.connecting:
            if fd in self.found:
                self._conclude(fd, channel)
        return self.found

    def _conclude(self, fd: int, channel: Connection) -> None:
        try:
            channel.finish(AT_ONCE)
        except BlockingIOError:
            pass
        except OSError:
            self.mark(fd, ERROR | HANG_UP)


def wait(interests: Iterable[tuple[int, int]], timeout: int | None) -> dict[int, int]:
    """Wait until any of the descriptors is ready for what is asked of it, or `timeout` nanoseconds
    pass.

    Returns what each ready descriptor is ready for. Raises OSError(EDEADLK) when, without a
    timeout, nothing could ever become ready.
    """
    waiting = _Wait()
    waiting.add_all(interests)
    return waiting.run(timeout)
