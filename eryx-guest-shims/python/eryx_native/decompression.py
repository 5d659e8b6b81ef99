"""What all decompressors have in common: input that waits, and data after the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Buffer


class Decompressor:
    """A decompressor over a stream of `_eryx_native`."""

    __slots__ = ("_buffer", "_eof", "_needs_input", "_offset", "_stream", "_unused")

    _stream: Any
    """The stream."""

    def _begin(self, stream: Any) -> None:
        self._stream = stream
        self._eof = False
        self._needs_input = True
        self._unused: Buffer = b""
        # Input that waits, from the offset on.
        self._buffer: Buffer = b""
        self._offset = 0

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def _run(self, data: Buffer, max_length: int) -> bytes:
        """Returns up to `max_length` bytes of output, any number if that is negative."""
        offset = self._offset
        is_own = True
        if offset == len(self._buffer):  # type: ignore[arg-type]
            waiting, offset, is_own = data, 0, False
        elif memoryview(data).nbytes:
            waiting = bytes(memoryview(self._buffer)[offset:]) + bytes(data)
            offset = 0
        else:
            waiting = self._buffer
        result = self._stream.run(waiting, offset, max_length, 0)
        if len(result) == 2:
            self._fail(*result)
        output: bytes
        output, offset, ended = result
        rest = memoryview(waiting).nbytes - offset
        if ended:
            self._eof = True
            self._needs_input = False
            self._unused = bytes(memoryview(waiting).cast("B")[offset:]) if rest else b""
            self._buffer, self._offset = b"", 0
        elif rest:
            self._needs_input = False
            if not is_own:
                waiting, offset = bytes(memoryview(waiting).cast("B")[offset:]), 0
            self._buffer, self._offset = waiting, offset
        else:
            # The stream may hold more output if this is all that was wanted.
            self._needs_input = len(output) != max_length
            self._buffer, self._offset = b"", 0
        return output

    def _fail(self, code: int, text: str | None) -> NoReturn:
        """Raises the exception for an error of the library."""
        raise NotImplementedError

    @property
    def eof(self) -> bool:
        """True if the end-of-stream marker has been reached."""
        return self._eof

    @property
    def needs_input(self) -> bool:
        """True if more input is needed before more decompressed data can be produced."""
        return self._needs_input

    @property
    def unused_data(self) -> Buffer:
        """Data found after the end of the compressed stream."""
        return self._unused
