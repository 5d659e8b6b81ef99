"""`ssl.MemoryBIO`: a buffer of ciphertext between TLS and whoever carries it."""

from __future__ import annotations

from typing import Any

from .buffers import octets
from .tls_errors import SSLError


class MemoryBIO:
    """Bytes written at one end and read at the other."""

    __slots__ = ("__weakref__", "_buffer", "_ended")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        """Take up to `size` bytes, all of them by default."""
        buffer = self._buffer
        if size is None or size < 0 or size >= len(buffer):
            data = bytes(buffer)
            buffer.clear()
            return data
        data = bytes(buffer[:size])
        del buffer[:size]
        return data

    def write(self, b: Any, /) -> int:
        """Add bytes; returns how many. Raises SSLError after `write_eof`."""
        data = octets(b)
        if self._ended:
            raise SSLError("cannot write() after write_eof()")
        self._buffer += data
        return len(data)

    def write_eof(self) -> None:
        """Say that no more will be written."""
        self._ended = True

    @property
    def pending(self) -> int:
        """The number of bytes pending in the memory BIO."""
        return len(self._buffer)

    @property
    def eof(self) -> bool:
        """Whether the memory BIO is at EOF position."""
        return self._ended and not self._buffer

    def _front(self, size: int) -> bytes:
        """The next bytes, left where they are."""
        return bytes(self._buffer[:size])

    def _drop(self, size: int) -> None:
        """Take bytes that `front` showed."""
        del self._buffer[:size]


MemoryBIO.__module__ = "_ssl"
