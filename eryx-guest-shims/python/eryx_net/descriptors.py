"""File descriptors of sockets: numbers in one table, and what they refer to.

A number is given out once and never again, so that a stale one can only be an error and never
somebody else's connection. They start far above the descriptors WASI hands out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .failures import failure

FIRST = 1000
"""The first number given to a socket."""


class Channel(Protocol):
    """What carries an open socket's bytes. Timeouts are nanoseconds; None waits without one."""

    def read(self, size: int, timeout: int | None) -> bytes: ...
    def peek(self, size: int, timeout: int | None) -> bytes: ...
    def write(self, data: bytes, timeout: int | None) -> int: ...
    def shutdown(self, how: int) -> None: ...
    def local(self) -> tuple[str, int] | None: ...
    def peer(self) -> tuple[str, int] | None: ...
    def set_option(self, name: str, value: int) -> None: ...
    def readable_now(self) -> bool | None: ...
    def writable_now(self) -> bool | None: ...
    def hung_up(self) -> bool: ...
    def close(self) -> None: ...


class Description:
    """What one or more descriptors refer to (POSIX's open file description).

    Closed, and its resources given back, when the last descriptor goes.
    """

    __slots__ = ("references",)

    def __init__(self) -> None:
        self.references = 0

    def close(self) -> None:
        """Give back what is held. Called once."""
        raise NotImplementedError


_table: dict[int, Description] = {}
_next = FIRST


def opened(description: Description) -> int:
    """A new descriptor for `description`."""
    global _next
    fd = _next
    _next += 1
    description.references += 1
    _table[fd] = description
    return fd


find: Callable[[int], Description | None] = _table.get
"""What a descriptor refers to, or None."""


def duplicate(fd: int) -> int:
    """Another descriptor for what `fd` refers to. Raises OSError(EBADF)."""
    description = _table.get(fd)
    if description is None:
        raise failure("EBADF")
    return opened(description)


def close(fd: int) -> None:
    """Forget `fd`; close what it referred to if it was the last one. Raises OSError(EBADF)."""
    description = _table.pop(fd, None)
    if description is None:
        raise failure("EBADF")
    description.references -= 1
    if description.references == 0:
        description.close()


def count() -> int:
    """How many descriptors are open."""
    return len(_table)


def restart() -> None:
    """Begin with the first number again. Only for an image that is being built, in which there is
    no descriptor and nothing that knows an old one."""
    global _next
    if _table:
        raise RuntimeError(f"descriptors are open: {sorted(_table)}")
    _next = FIRST
