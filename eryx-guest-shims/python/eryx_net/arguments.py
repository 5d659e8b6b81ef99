"""Conversions of arguments, with the exceptions of CPython's C code."""

from __future__ import annotations

import operator
import warnings
from typing import Any

_INT = 1 << 31
_LONG = 1 << 63


def c_int(value: Any) -> int:
    """Returns an integer that fits in a C int, as `PyLong_AsInt` does."""
    number = operator.index(value)
    if not -_INT <= number < _INT:
        raise OverflowError("Python int too large to convert to C int")
    return int(number)


def c_long(value: Any) -> int:
    """Returns an integer that fits in a C long of Linux, as `PyLong_AsLong` does."""
    number = operator.index(value)
    if not -_LONG <= number < _LONG:
        raise OverflowError("Python int too large to convert to C long")
    return int(number)


def file_descriptor(file: Any) -> int:
    """Returns the descriptor of a file object, as `PyObject_AsFileDescriptor` does."""
    if type(file) is int and 0 <= file < _INT:
        return file
    if isinstance(file, int):
        number = file
        if isinstance(file, bool):
            # At the line of the program that called the caller.
            warnings.warn("bool is used as a file descriptor", RuntimeWarning, stacklevel=3)
    else:
        fileno = getattr(file, "fileno", None)
        if fileno is None:
            raise TypeError("argument must be an int, or have a fileno() method.")
        number = fileno()
        if not isinstance(number, int):
            raise TypeError("fileno() returned a non-integer")
    number = c_int(number)
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    return number
