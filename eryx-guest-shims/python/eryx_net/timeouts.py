"""Timeouts: Python's seconds, the host's nanoseconds, and a deadline for several host calls."""

from __future__ import annotations

import math
import operator
import time
from typing import Any

_default: float | None = None

# CPython's times are 64-bit numbers of nanoseconds.
_RANGE = 1 << 63


def nanoseconds(seconds: float | None) -> int | None:
    """Returns a timeout in nanoseconds, rounded up so that the shortest timeout still waits."""
    if seconds is None:
        return None
    return min(-int(-seconds * 1_000_000_000 // 1), (1 << 63) - 1)


def check_range(value: Any, unit: int = 1_000_000_000) -> None:
    """Raises the exceptions of CPython for a time whose unit has so many nanoseconds."""
    if isinstance(value, float):
        if value != value:
            raise ValueError("Invalid value NaN (not a number)")
        if not -_RANGE <= value * unit < _RANGE:
            raise OverflowError("timestamp out of range for platform time_t")
    elif hasattr(value, "__index__") and not -_RANGE <= operator.index(value) * unit < _RANGE:
        raise OverflowError("timestamp too large to convert to C PyTime_t")


def _not_a_number(value: Any) -> TypeError:
    kind = type(value)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    return TypeError(f"'{name}' object cannot be interpreted as an integer or float")


def checked_nanoseconds(seconds: Any) -> int:
    """Returns a number of seconds in nanoseconds, rounded away from zero.

    Raises the exceptions of CPython for what is no number, or too large.
    """
    if not isinstance(seconds, float):
        if not hasattr(seconds, "__index__"):
            raise _not_a_number(seconds)
        seconds = operator.index(seconds)
    check_range(seconds)
    exact = seconds * 1_000_000_000
    return int(math.floor(exact) if exact < 0 else math.ceil(exact))


def seconds(value: Any) -> float | None:
    """Checks and returns a timeout given by a program. Raises the exceptions of `settimeout`."""
    if value is None:
        return None
    if isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise _not_a_number(value)
    check_range(value)
    timeout = float(value)
    if timeout < 0:
        raise ValueError("Timeout value out of range")
    if timeout > 9e9:
        raise OverflowError("timeout doesn't fit into C timeval")
    return timeout


class Deadline:
    """The deadline of an operation that takes several host calls."""

    __slots__ = ("_end", "_timeout")

    def __init__(self, timeout: int | None) -> None:
        self._timeout = timeout
        self._end = time.monotonic_ns() + timeout if timeout else None

    def remaining(self) -> int | None:
        """Returns the remaining nanoseconds. Raises TimeoutError after the deadline."""
        if self._end is None:
            return self._timeout
        remaining = self._end - time.monotonic_ns()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining


def getdefaulttimeout() -> float | None:
    """Returns the timeout of new sockets in seconds, None for no timeout."""
    return _default


def setdefaulttimeout(timeout: float | None, /) -> None:
    """Sets the timeout of new sockets in seconds."""
    global _default
    _default = seconds(timeout)
