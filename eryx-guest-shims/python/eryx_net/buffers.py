"""Bytes-like objects, converted as CPython's C functions convert them."""

from __future__ import annotations

import binascii
from typing import Any


def to_bytes(data: Any, limit: int | None = None) -> bytes:
    """Returns the bytes of a C-contiguous buffer with items of any type, at most `limit` of them.

    Raises TypeError for an object without a buffer, BufferError for a non-contiguous one.
    """
    if type(data) is bytes:
        return data if limit is None else data[:limit]
    if type(data) is memoryview and data.c_contiguous and (limit is None or data.nbytes <= limit):
        # `ssl` passes such a view for every `sendall`.
        return data.tobytes()
    try:
        with memoryview(data) as view:
            if not view.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if limit is None or view.nbytes <= limit:
                return view.tobytes()
            # A program that sends a large buffer in parts passes all of the rest each time.
            with view.cast("B") as items, items[:limit] as part:
                return part.tobytes()
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not '{kind}'") from None


def writable_view(target: Any, function: str) -> memoryview:
    """Returns a view of the bytes of a buffer to fill.

    Raises TypeError and BufferError with the texts of the C function called `function`.
    """
    try:
        view = memoryview(target)
    except TypeError:
        view = None
    if view is None or view.readonly:
        kind = type(target).__name__
        raise TypeError(f"{function} argument 1 must be read-write bytes-like object, not {kind}")
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def is_plain_bytes(view: memoryview) -> bool:
    """Returns whether bytes can be copied into a view without a cast."""
    return not view.readonly and view.format == "B" and view.ndim == 1 and view.c_contiguous


def base64_text(data: bytes) -> str:
    """Returns base64 (RFC 4648, section 4), the form of binary settings in the WIT contract."""
    return binascii.b2a_base64(data, newline=False).decode()
