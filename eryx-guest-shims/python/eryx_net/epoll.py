"""`select.epoll`, level-triggered, over the waits of `select.poll`.

`selectors` is imported without it, so that its `DefaultSelector` stays `PollSelector`.
"""

from __future__ import annotations

import contextlib
import operator
import os
import select
import stat
from types import TracebackType
from typing import Any

from . import descriptors
from .arguments import file_descriptor
from .descriptors import FIRST, Description
from .errors import os_error
from .select import FileDescriptorLike, _duration, _events, _interest
from .sockets import readiness
from .timeouts import nanoseconds

EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP = 1, 2, 4, 8, 16, 0x2000
EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLMSG = 0x40, 0x80, 0x100, 0x200, 0x400
EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET = 1 << 28, 1 << 29, 1 << 30, 1 << 31
EPOLL_CLOEXEC = 0x80000

# The bits of a mask that are no events.
_OPTIONS = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET

# Those that `poll` reports at a time by default: FD_SETSIZE of Linux, less one.
_MAX_EVENTS = 1023


class _Interests(Description):
    """The descriptors of an epoll object, with their masks."""

    __slots__ = ("masks",)

    def __init__(self) -> None:
        super().__init__()
        self.masks: dict[int, int] = {}

    def close(self) -> None:
        """Forgets all descriptors."""
        self.masks.clear()


class Epoll:
    """select.epoll(sizehint=-1, flags=0)

    Returns an epolling object. Its events are level-triggered."""

    __slots__ = ("__weakref__", "_fd")

    _fd: int

    def __new__(cls, sizehint: int = -1, flags: int = 0) -> Epoll:
        if operator.index(sizehint) != -1 and sizehint <= 0:
            raise ValueError("negative sizehint")
        if operator.index(flags) & ~EPOLL_CLOEXEC:
            raise OSError("invalid flags")
        self = object.__new__(cls)
        self._fd = descriptors.allocate(_Interests())
        return self

    @classmethod
    def fromfd(cls, fd: int, /) -> Epoll:
        """Create an epoll object from a given control fd."""
        self = object.__new__(cls)
        self._fd = operator.index(fd)
        return self

    def _masks(self) -> dict[int, int]:
        self._check_open()
        found = descriptors.find(self._fd)
        if found is None:
            raise os_error("EBADF")
        if not isinstance(found, _Interests):
            raise os_error("EINVAL")
        return found.masks

    def _check_open(self) -> None:
        if self._fd < 0:
            raise ValueError("I/O operation on closed epoll object")

    def fileno(self) -> int:
        """Return the epoll control file descriptor."""
        self._check_open()
        return self._fd

    @property
    def closed(self) -> bool:
        """True if the epoll handler is closed"""
        return self._fd < 0

    def close(self) -> None:
        """Close the epoll control file descriptor."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            descriptors.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self.close()

    def __enter__(self) -> Epoll:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def register(
        self, fd: FileDescriptorLike, eventmask: int = EPOLLIN | EPOLLPRI | EPOLLOUT
    ) -> None:
        """Registers a new fd. Raises FileExistsError for a registered one."""
        masks, number = self._masks(), _checked(fd)
        if number in masks:
            raise os_error("EEXIST", "File exists")
        masks[number] = _checked_mask(eventmask)

    def modify(self, fd: FileDescriptorLike, eventmask: int) -> None:
        """Modify event mask for a registered file descriptor."""
        masks, number = self._masks(), _checked(fd)
        if number not in masks:
            raise os_error("ENOENT", "No such file or directory")
        masks[number] = _checked_mask(eventmask)

    def unregister(self, fd: FileDescriptorLike) -> None:
        """Remove a registered file descriptor from the epoll object."""
        masks, number = self._masks(), _checked(fd)
        if masks.pop(number, None) is None:
            raise os_error("ENOENT", "No such file or directory")

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """Waits up to `timeout` seconds; returns (descriptor, events) of each ready one.

        At most `maxevents` of them: those first that were reported least recently."""
        masks = self._masks()
        limit = None
        if timeout is not None and (seconds := _duration(timeout, "an integer")) >= 0:
            limit = nanoseconds(seconds)
        count = operator.index(maxevents)
        if count != -1 and count <= 0:
            raise ValueError(f"maxevents must be greater than 0, got {count}")
        for closed in [fd for fd in masks if fd >= FIRST and descriptors.find(fd) is None]:
            del masks[closed]
        # One whose event has been reported once waits for `modify`.
        watched = [(fd, _interest(mask)) for fd, mask in masks.items() if mask & ~_OPTIONS]
        ready = readiness.wait_with_status(watched, limit)
        found: list[tuple[int, int]] = []
        for fd, mask in list(masks.items()):
            events = _events(ready.get(fd, 0) & ~readiness.INVALID, mask)
            if events and len(found) < (_MAX_EVENTS if count == -1 else count):
                found.append((fd, events))
                del masks[fd]
                masks[fd] = EPOLLONESHOT if mask & EPOLLONESHOT else mask
        return found


Epoll.__name__ = Epoll.__qualname__ = "epoll"
Epoll.__module__ = "select"


def _checked(fd: FileDescriptorLike) -> int:
    """Returns the number of a descriptor that can be waited for."""
    number = file_descriptor(fd)
    if descriptors.find(number) is None:
        mode = os.fstat(number).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            raise os_error("EPERM")
    return number


def _checked_mask(eventmask: int) -> int:
    mask = operator.index(eventmask) & 0xFFFF_FFFF
    if mask & EPOLLET:
        raise os_error(
            "EINVAL",
            "select.epoll: a sandbox has no edge-triggered events; register the descriptor without "
            "EPOLLET",
        )
    # Errors and hang-ups are always reported.
    return mask | EPOLLERR | EPOLLHUP


def install() -> None:
    """Adds `epoll` and its constants to `select`."""
    module: Any = select
    names = {name: value for name, value in globals().items() if name.startswith("EPOLL")}
    for name, value in {"epoll": Epoll, **names}.items():
        setattr(module, name, value)
        module.__all__.append(name)
