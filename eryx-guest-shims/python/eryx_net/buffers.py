"""Bytes-like objects as CPython's C functions take them."""

from __future__ import annotations

import binascii
from typing import Any


def octets(data: Any, most: int | None = None) -> bytes:
    """The bytes of a C-contiguous buffer, whatever its items are, or the first `most` of them.
    Raises TypeError, BufferError.
    """
    if type(data) is bytes:
        return data if most is None else data[:most]
    if type(data) is memoryview and data.c_contiguous and (most is None or data.nbytes <= most):
        # What `ssl` hands in, for every `sendall`.
        return data.tobytes()
    try:
        with memoryview(data) as view:
            if not view.c_contiguous:
                raise BufferError("memoryview: underlying buffer is not C-contiguous")
            if most is None or view.nbytes <= most:
                return view.tobytes()
            # Whoever sends a large buffer bit by bit hands in all of the rest each time.
            with view.cast("B") as items, items[:most] as part:
                return part.tobytes()
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not '{kind}'") from None


def writable(target: Any, name: str) -> memoryview:
    """The bytes of a buffer to be filled; `name` is the function that asks. Raises as it would."""
    try:
        view = memoryview(target)
    except TypeError:
        view = None
    if view is None or view.readonly:
        kind = type(target).__name__
        raise TypeError(f"{name} argument 1 must be read-write bytes-like object, not {kind}")
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def plain(view: memoryview) -> bool:
    """Whether bytes can be put into it just as it is."""
    return not view.readonly and view.format == "B" and view.ndim == 1 and view.c_contiguous


def base64_text(data: bytes) -> str:
    """Base64 (RFC 4648, section 4), the form in which the contract takes binary settings."""
    return binascii.b2a_base64(data, newline=False).decode()
