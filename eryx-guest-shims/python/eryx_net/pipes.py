"""Pipes inside the sandbox: `os.pipe`, whose ends are in guest memory and never reach the host."""

from __future__ import annotations

import os
import posix
from typing import Any

from . import descriptors
from .buffers import to_bytes
from .builtin_functions import built_in
from .descriptors import Description
from .errors import os_error
from .host import LARGEST_READ, NON_BLOCKING
from .loopback.stream import wait_for_timer

CAPACITY = 64 << 10
"""The most bytes that a pipe holds. A write blocks when it is full."""

ATOMIC = 4096
"""The most bytes that are written as a whole or not at all (PIPE_BUF)."""


class Pipe:
    """The bytes written and not yet read, and which ends are open."""

    __slots__ = ("buffer", "has_reader", "has_writer")

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.has_reader = True
        self.has_writer = True


class PipeEnd(Description):
    """The open file description of one end. An operation of the other end is OSError(EBADF)."""

    __slots__ = ("pipe",)

    flags: int
    """How the end is opened: O_RDONLY or O_WRONLY."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self.pipe = pipe

    def read(self, size: int, timeout: int | None) -> bytes:
        """Returns up to `size` bytes; none once the pipe is empty and has no writer."""
        raise os_error("EBADF")

    def write(self, data: bytes, timeout: int | None) -> int:
        """Writes; returns the number of bytes accepted. Raises OSError(EPIPE) without a reader."""
        raise os_error("EBADF")


class ReadEnd(PipeEnd):
    """The end that is read."""

    __slots__ = ()

    flags = os.O_RDONLY

    def read(self, size: int, timeout: int | None) -> bytes:
        """Returns up to `size` bytes; none once the pipe is empty and has no writer."""
        buffer = self.pipe.buffer
        while not buffer and self.pipe.has_writer and size:
            wait_for_timer(timeout, "reading")
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    def readable_now(self) -> bool:
        """Returns whether a read would not block."""
        return bool(self.pipe.buffer) or not self.pipe.has_writer

    def close(self) -> None:
        """Closes the end, and drops the bytes that were not read."""
        self.pipe.has_reader = False
        self.pipe.buffer.clear()


class WriteEnd(PipeEnd):
    """The end that is written."""

    __slots__ = ()

    flags = os.O_WRONLY

    def write(self, data: bytes, timeout: int | None) -> int:
        """Writes; returns the number of bytes accepted. Raises OSError(EPIPE) without a reader.

        Without a timeout all bytes are written, and with the timeout 0 those that fit.
        """
        pipe = self.pipe
        if not data:
            return 0
        if not pipe.has_reader:
            raise os_error("EPIPE")
        as_a_whole = timeout != NON_BLOCKING or len(data) <= ATOMIC
        needed = len(data) if as_a_whole else 1
        while CAPACITY - len(pipe.buffer) < needed:
            wait_for_timer(timeout, "writing")
        part = data[: CAPACITY - len(pipe.buffer)]
        pipe.buffer += part
        return len(part)

    def writable_now(self) -> bool:
        """Returns whether a write of `ATOMIC` bytes would not block."""
        return CAPACITY - len(self.pipe.buffer) >= ATOMIC or not self.pipe.has_reader

    def close(self) -> None:
        """Closes the end: the reader gets what is left, and then the end of the stream."""
        self.pipe.has_writer = False


def read(end: PipeEnd, length: int) -> bytes:
    """Reads as `os.read` does."""
    return end.read(min(length, LARGEST_READ), None if end.blocking else NON_BLOCKING)


def write(end: PipeEnd, data: Any) -> int:
    """Writes as `os.write` does."""
    return end.write(to_bytes(data), None if end.blocking else NON_BLOCKING)


def pipe() -> tuple[int, int]:
    """Create a pipe.

    Returns a tuple of two file descriptors:
      (read_fd, write_fd)"""
    return pipe2(0)


def pipe2(flags: int, /) -> tuple[int, int]:
    """Create a pipe with flags set atomically.

    Returns a tuple of two file descriptors:
      (read_fd, write_fd)

    flags can be constructed by ORing together one or more of these values:
    O_NONBLOCK, O_CLOEXEC."""
    known = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
    if flags & ~known:
        raise os_error("EINVAL")
    shared = Pipe()
    ends = ReadEnd(shared), WriteEnd(shared)
    for end in ends:
        end.blocking = not flags & os.O_NONBLOCK
    first, second = (descriptors.allocate(end) for end in ends)
    return first, second


def install() -> None:
    """Adds `os.pipe` and `os.pipe2`, which a WASI build lacks."""
    for function in (pipe, pipe2):
        function.__module__ = posix.__name__
        public = built_in(function)
        for module in (os, posix):
            setattr(module, function.__name__, public)
        if function.__name__ not in os.__all__:
            os.__all__.append(function.__name__)
