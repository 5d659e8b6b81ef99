"""Timeouts: what Python calls them, what the host calls them, and one over several host calls."""

from __future__ import annotations

import time
from typing import Any

_default: float | None = None


def nanoseconds(seconds: float | None) -> int | None:
    """A Python timeout as the host wants it: rounded up, so that a tiny one still waits."""
    if seconds is None:
        return None
    return min(-int(-seconds * 1_000_000_000 // 1), (1 << 63) - 1)


def seconds(value: Any) -> float | None:
    """A timeout as a program gives it. Raises as `settimeout` does."""
    if value is None:
        return None
    if isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    found = float(value)
    if found != found:
        raise ValueError("Invalid value NaN (not a number)")
    if found < 0:
        raise ValueError("Timeout value out of range")
    if found > 9e9:
        raise OverflowError("timeout doesn't fit into C timeval")
    return found


class Deadline:
    """The end of an operation that takes several host calls."""

    __slots__ = ("_end", "_limit")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._end = time.monotonic_ns() + limit if limit else None

    def left(self) -> int | None:
        """Nanoseconds to go. Raises TimeoutError when there are none."""
        if self._end is None:
            return self._limit
        left = self._end - time.monotonic_ns()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def getdefaulttimeout() -> float | None:
    """The timeout new sockets get, in seconds; None waits without one."""
    return _default


def setdefaulttimeout(timeout: float | None, /) -> None:
    """Set the timeout new sockets get, in seconds."""
    global _default
    _default = seconds(timeout)
