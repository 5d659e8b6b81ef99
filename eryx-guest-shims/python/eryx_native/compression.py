"""What the compressors of `bz2` and `lzma` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Buffer


class Compressor:
    """A compressor over a stream of `_eryx_native`."""

    __slots__ = ("_flushed", "_stream")

    _stream: Any
    """The stream."""

    def _begin(self, stream: Any) -> None:
        self._stream = stream
        self._flushed = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def compress(self, data: Buffer, /) -> bytes:
        """Provide data to the compressor object; return compressed data if possible."""
        if self._flushed:
            raise ValueError("Compressor has been flushed")
        return self._run(data, 0)

    def flush(self) -> bytes:
        """Finish the compression process; return the rest of the compressed data."""
        if self._flushed:
            raise ValueError("Repeated call to flush()")
        self._flushed = True
        return self._run(b"", 1)

    def _run(self, data: Buffer, action: int) -> bytes:
        result = self._stream.run(data, 0, -1, action)
        if len(result) == 2:
            self._fail(*result)
        output: bytes = result[0]
        return output

    def _fail(self, code: int, text: str | None) -> NoReturn:
        """Raises the exception for an error of the library."""
        raise NotImplementedError
