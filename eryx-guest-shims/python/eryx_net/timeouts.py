"""Timeouts: Python's seconds, the host's nanoseconds, and a deadline for several host calls."""

from __future__ import annotations

import time
from typing import Any

_default: float | None = None


def nanoseconds(seconds: float | None) -> int | None:
    """Returns a timeout in nanoseconds, rounded up so that the shortest timeout still waits."""
    if seconds is None:
        return None
    return min(-int(-seconds * 1_000_000_000 // 1), (1 << 63) - 1)


def seconds(value: Any) -> float | None:
    """Checks and returns a timeout given by a program. Raises the exceptions of `settimeout`."""
    if value is None:
        return None
    if isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")
    timeout = float(value)
    if timeout != timeout:
        raise ValueError("Invalid value NaN (not a number)")
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
