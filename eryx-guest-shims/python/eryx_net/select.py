"""CPython's `select` module over the descriptors of sockets; `epoll` is in a module of its own.

`selectors` chooses among the functions that exist, so its `DefaultSelector` is `PollSelector`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from .arguments import file_descriptor
from .builtin_functions import WaitingFunction, built_in
from .errors import os_error
from .sockets import readiness
from .sockets.hang_up import ERROR, HANG_UP, READ_HANG_UP
from .sockets.readiness import INVALID, READ, WRITE
from .timeouts import check_range, nanoseconds

__all__ = [
    "PIPE_BUF",
    "POLLERR",
    "POLLHUP",
    "POLLIN",
    "POLLMSG",
    "POLLNVAL",
    "POLLOUT",
    "POLLPRI",
    "POLLRDBAND",
    "POLLRDHUP",
    "POLLRDNORM",
    "POLLWRBAND",
    "POLLWRNORM",
    "error",
    "poll",
    "select",
]

error = OSError

PIPE_BUF = 4096
POLLIN = 0x001
POLLPRI = 0x002
POLLOUT = 0x004
POLLERR = 0x008
POLLHUP = 0x010
POLLNVAL = 0x020
POLLRDNORM = 0x040
POLLRDBAND = 0x080
POLLWRNORM = 0x100
POLLWRBAND = 0x200
POLLMSG = 0x400
POLLRDHUP = 0x2000


class HasFileno(Protocol):
    """An object with a descriptor."""

    def fileno(self) -> int: ...


FileDescriptorLike = int | HasFileno


def _duration(timeout: Any, kind: str, unit: int = 1_000_000_000) -> float:
    """Returns a timeout of `kind`, whose unit has so many nanoseconds."""
    if not (hasattr(timeout, "__float__") or hasattr(timeout, "__index__")):
        raise TypeError(f"timeout must be {kind} or None")
    check_range(timeout, unit)
    return float(timeout)


def _select(
    rlist: Iterable[Any],
    wlist: Iterable[Any],
    xlist: Iterable[Any],
    timeout: float | None = None,
    /,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Waits until a file in one of the three lists is ready; returns the ready files of each list.

    No exceptional condition exists, so the third list is always empty. Raises OSError(EBADF) for a
    closed descriptor, and OSError(EDEADLK) without a timeout where no file could ever become ready.
    """
    limit = None
    if timeout is not None:
        seconds = _duration(timeout, "a float")
        if seconds < 0:
            raise ValueError("timeout must be non-negative")
        limit = nanoseconds(seconds)
    reading = [(file_descriptor(file), file) for file in rlist]
    writing = [(file_descriptor(file), file) for file in wlist]
    others = [(file_descriptor(file), file) for file in xlist]
    interests: dict[int, int] = {}
    for files, interest in ((reading, READ), (writing, WRITE), (others, 0)):
        for fd, _ in files:
            interests[fd] = interests.get(fd, 0) | interest
    ready = _wait_checked(interests, limit)
    return (
        [file for fd, file in reading if ready.get(fd, 0) & (READ | HANG_UP | ERROR)],
        [file for fd, file in writing if ready.get(fd, 0) & (WRITE | ERROR)],
        [],
    )


_select.__name__ = _select.__qualname__ = "select"
_select.__module__ = "select"

# `selectors` assigns it to a class attribute.
select = WaitingFunction(_select)


def _wait_checked(interests: dict[int, int], limit: int | None) -> dict[int, int]:
    ready = readiness.wait(interests.items(), limit)
    if any(flags & INVALID for flags in ready.values()):
        raise os_error("EBADF")
    return ready


class _Poll:
    """A polling object: a set of descriptors with the events to wait for."""

    __slots__ = ("_files", "_interests")

    _files: dict[int, int]
    _interests: dict[int, int]

    def __new__(cls) -> _Poll:
        raise TypeError("cannot create 'select.poll' instances")

    def register(
        self, fd: FileDescriptorLike, eventmask: int = POLLIN | POLLPRI | POLLOUT, /
    ) -> None:
        """Adds a descriptor, or changes the events of a registered one."""
        self._put(file_descriptor(fd), _mask(eventmask))

    def _put(self, number: int, mask: int) -> None:
        self._files[number] = mask
        self._interests[number] = _interest(mask)

    def modify(self, fd: FileDescriptorLike, eventmask: int, /) -> None:
        """Changes the events of a descriptor. Raises FileNotFoundError for an unregistered one."""
        number = file_descriptor(fd)
        if number not in self._files:
            raise os_error("ENOENT", "No such file or directory")
        self._put(number, _mask(eventmask))

    def unregister(self, fd: FileDescriptorLike, /) -> None:
        """Removes a descriptor. Raises KeyError for an unregistered one."""
        number = file_descriptor(fd)
        del self._files[number]
        del self._interests[number]

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """Waits up to `timeout` milliseconds; returns (descriptor, events) of each ready one."""
        limit = None
        if timeout is not None:
            milliseconds = _duration(timeout, "an integer", 1_000_000)
            limit = None if milliseconds < 0 else nanoseconds(milliseconds / 1000)
        files = self._files
        # `selectors` tests an empty poll when it is imported, while the image is built and the host
        # cannot be called.
        if not files and limit == 0:
            return []
        ready = self._wait(self._interests.items(), limit)
        return [(fd, _events(flags, files[fd])) for fd, flags in ready.items()]

    _wait = staticmethod(readiness.wait_with_status)


_Poll.__name__ = _Poll.__qualname__ = "poll"
_Poll.__module__ = "select"


def _poll() -> _Poll:
    """Returns an empty polling object."""
    poll = object.__new__(_Poll)
    poll._files = {}
    poll._interests = {}
    return poll


_poll.__name__ = _poll.__qualname__ = "poll"
_poll.__module__ = "select"

# `selectors` assigns it to a class attribute, like `select`.
poll = built_in(_poll)


class SelectorPoll(_Poll):
    """The polling object of `selectors`, to which a hang-up is the same as readiness.

    It does not ask the host for the status of each connection, as event loops poll all the time.
    """

    __slots__ = ()

    _wait = staticmethod(readiness.wait)

    def __new__(cls) -> SelectorPoll:
        poll = object.__new__(cls)
        poll._files = {}
        poll._interests = {}
        return poll


_ALL_READING = POLLIN | POLLRDNORM
_ALL_WRITING = POLLOUT | POLLWRNORM


def _mask(eventmask: int) -> int:
    if not isinstance(eventmask, int):
        raise TypeError(f"'{type(eventmask).__name__}' object cannot be interpreted as an integer")
    if eventmask < 0:
        raise ValueError("value must be positive")
    if eventmask > 0xFFFF:
        raise OverflowError("Python int too large for C unsigned short")
    return int(eventmask)


def _interest(mask: int) -> int:
    return (
        (READ if mask & _ALL_READING else 0)
        | (WRITE if mask & _ALL_WRITING else 0)
        | (READ_HANG_UP if mask & POLLRDHUP else 0)
    )


def _events(flags: int, mask: int) -> int:
    events = 0
    if flags & READ:
        events |= mask & _ALL_READING
    if flags & WRITE:
        events |= mask & _ALL_WRITING
    if flags & READ_HANG_UP:
        events |= mask & POLLRDHUP
    if flags & HANG_UP:
        events |= POLLHUP
    if flags & ERROR:
        events |= POLLERR
    if flags & INVALID:
        events |= POLLNVAL
    return events
