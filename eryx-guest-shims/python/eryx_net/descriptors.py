"""The file descriptors of sockets: one table from numbers to open file descriptions.

A number is never reused, so that a stale one is an error and never another connection. The numbers
start far above WASI's descriptors.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import os_error

FIRST = 1 << 16
"""The first descriptor of a socket: above those of files, which `os` and `open` take as well."""

ROOT = 3
"""The descriptor of the directory "/", which libc opens for its first operation on a path."""

MAX_DUPLICATE = 1024
"""The largest descriptor of a duplicate of a file, plus one (`native/descriptors.c`)."""


class Description:
    """An open file description (POSIX): the object that one or more descriptors refer to.

    It is closed when its last descriptor is.
    """

    __slots__ = ("blocking", "references")

    def __init__(self) -> None:
        self.references = 0
        self.blocking = True
        """Whether operations without a timeout of their own wait (not O_NONBLOCK)."""

    def close(self) -> None:
        """Releases all resources. Called once."""
        raise NotImplementedError

    def update_time_limits(self) -> None:
        """Passes a change of `blocking` on. Descriptors that never wait have nothing to do."""


_table: dict[int, Description] = {}
_next = FIRST


def allocate(description: Description) -> int:
    """Returns a new descriptor for `description`."""
    global _next
    fd = _next
    _next += 1
    description.references += 1
    _table[fd] = description
    return fd


find: Callable[[int], Description | None] = _table.get
"""Returns the description of a descriptor, or None."""


def duplicate(fd: int) -> int:
    """Returns another descriptor for the description of `fd`. Raises OSError(EBADF)."""
    description = _table.get(fd)
    if description is None:
        raise os_error("EBADF")
    return allocate(description)


def close(fd: int) -> None:
    """Closes `fd`, and its description with the last descriptor. Raises OSError(EBADF)."""
    description = _table.pop(fd, None)
    if description is None:
        raise os_error("EBADF")
    description.references -= 1
    if description.references == 0:
        description.close()


def replace(fd: int, description: Description) -> None:
    """Makes `fd` refer to `description` (dup2(2)), as long as `allocate` has returned that number.

    Raises OSError(EBADF) for another number.
    """
    if not FIRST <= fd < _next:
        raise os_error("EBADF")
    description.references += 1
    if fd in _table:
        close(fd)
    _table[fd] = description


def numbers() -> list[int]:
    """Returns the open descriptors."""
    return list(_table)


def count() -> int:
    """Returns the number of open descriptors."""
    return len(_table)


def reset_for_build() -> None:
    """Makes `FIRST` the next descriptor again.

    Only for the build of the image, where no descriptor is open and no program has seen one.
    """
    global _next
    if _table:
        raise RuntimeError(f"descriptors are open: {sorted(_table)}")
    _next = FIRST
