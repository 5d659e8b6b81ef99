"""`ssl.MemoryBIO`: a buffer of ciphertext between a TLS object and the code that transports it."""

from __future__ import annotations

from typing import Any

from ..buffers import to_bytes
from .errors import SSLError


class MemoryBIO:
    """A queue of bytes."""

    __slots__ = ("__weakref__", "_buffer", "_ended")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        """Removes and returns up to `size` bytes, by default all."""
        buffer = self._buffer
        if size is None or size < 0 or size >= len(buffer):
            data = bytes(buffer)
            buffer.clear()
            return data
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    def write(self, b: Any, /) -> int:
        """Appends bytes; returns their number. Raises SSLError after `write_eof`."""
        data = to_bytes(b)
        if self._ended:
            raise SSLError("cannot write() after write_eof()")
        self._buffer += data
        return len(data)

    def write_eof(self) -> None:
        """Marks the end of the data. No more can be written."""
        self._ended = True

    @property
    def pending(self) -> int:
        """The number of bytes pending in the memory BIO."""
        return len(self._buffer)

    @property
    def eof(self) -> bool:
        """Whether the memory BIO is at EOF position."""
        return self._ended and not self._buffer

    def _peek(self, size: int) -> bytes:
        """Returns up to `size` bytes without removing them."""
        return bytes(self._buffer[:size])

    def _skip(self, size: int) -> None:
        """Removes bytes that `_peek` returned."""
        del self._buffer[:size]


MemoryBIO.__module__ = "_ssl"
