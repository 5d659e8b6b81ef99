"""CPython's `_bz2`: bzip2 compression."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, NoReturn, Self, final

import _eryx_native

from .compression import Compressor
from .decompression import Decompressor

if TYPE_CHECKING:
    from collections.abc import Buffer

__all__ = ["BZ2Compressor", "BZ2Decompressor"]


def _fail(code: int, text: str | None) -> NoReturn:
    """Raises the exception for an error of libbz2."""
    if code == -1:
        raise RuntimeError(
            "Internal error - Invalid sequence of commands sent to libbzip2"
        )  # BZ_SEQUENCE_ERROR
    if code in (-4, -5):
        # BZ_DATA_ERROR, BZ_DATA_ERROR_MAGIC
        raise OSError("Invalid data stream")
    raise OSError(f"Unrecognized error from libbzip2: {code}")


@final
class BZ2Compressor(Compressor):
    """Create a compressor object for compressing data incrementally.

    compresslevel
      Compression level, as a number between 1 and 9.
    """

    __slots__ = ()

    def __new__(cls, compresslevel: int = 9, /) -> Self:
        """Returns a new compressor."""
        compresslevel = index(compresslevel)
        if not 1 <= compresslevel <= 9:
            raise ValueError("compresslevel must be between 1 and 9")
        self = super().__new__(cls)
        self._begin(_eryx_native.bz2_compressor(compresslevel))
        return self

    def _fail(self, code: int, text: str | None) -> NoReturn:
        _fail(code, text)


@final
class BZ2Decompressor(Decompressor):
    """Create a decompressor object for decompressing data incrementally."""

    __slots__ = ()

    def __new__(cls) -> Self:
        """Returns a new decompressor."""
        self = super().__new__(cls)
        self._begin(_eryx_native.bz2_decompressor())
        return self

    def decompress(self, data: Buffer, max_length: int = -1) -> bytes:
        """Decompress *data*, returning uncompressed data as bytes.

        If *max_length* is nonnegative, returns at most *max_length* bytes of
        decompressed data.
        """
        if self._eof:
            raise EOFError("End of stream already reached")
        return self._run(data, max_length)

    def _fail(self, code: int, text: str | None) -> NoReturn:
        _fail(code, text)
