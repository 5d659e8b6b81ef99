"""`signal.alarm` and `setitimer`: SIGALRM after a time, without an interrupt of the system.

While a timer runs, the interpreter calls `_check` when a function starts and before each line
(PEP 669), which calls the handler once the time is over. `time.sleep` and the waits of `select`,
event loops and pipes end for it in time, and so do those for another socket of the program. A call
that waits for a peer outside the sandbox, such as `recv`, ends first.
"""

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from .arguments import c_int
from .errors import error_number
from .timeouts import checked_nanoseconds


class ItimerError(OSError):
    """An error of `setitimer` or `getitimer`."""


ItimerError.__name__ = ItimerError.__qualname__ = "itimer_error"
ItimerError.__module__ = "signal"

_REAL = 0
_ALARM = 14

_NAME = "eryx: signal.setitimer"

deadline: float | None = None
"""When the timer ends, on the monotonic clock; None while none runs."""

_interval = 0.0
_tool: int | None = None


def _not_installed(number: int, frame: FrameType | None) -> None:
    raise RuntimeError("signals are not installed")


deliver: Callable[[int, FrameType | None], None] = _not_installed
"""Calls the handler of a signal: set by `eryx_guest.signals`, which imports this module."""


sleep: Callable[[float], None] = time.sleep
"""`time.sleep`, during which other threads run: set by `eryx_guest.clocks`."""


def alarm(seconds: int, /) -> int:
    """Sends SIGALRM after a number of seconds, 0 for never.

    Returns the seconds that were left of the previous alarm.
    """
    # The number is unsigned in C.
    left, _ = _set(float(c_int(seconds) & 0xFFFFFFFF), 0.0)
    # Rounded up, so that a running alarm never counts as none.
    return -int(-left // 1) if left else 0


def setitimer(which: int, seconds: float, interval: float = 0.0, /) -> tuple[float, float]:
    """Starts a timer that sends SIGALRM after `seconds`, then every `interval`.

    Only ITIMER_REAL counts time. Returns the previous values.
    """
    which = c_int(which)
    times = [checked_nanoseconds(each) / 1e9 for each in (seconds, interval)]
    _check_which(which)
    if min(times) < 0:
        raise ItimerError(_invalid(), "Invalid argument")
    return _set(*times)


def getitimer(which: int, /) -> tuple[float, float]:
    """Returns the seconds that are left of a timer, and its interval."""
    _check_which(c_int(which))
    return _left(), _interval if deadline is not None else 0.0


def _check_which(which: int) -> None:
    if which not in (0, 1, 2):
        raise ItimerError(_invalid(), "Invalid argument")
    if which != _REAL:
        raise ItimerError(
            _invalid(), "a sandbox has only ITIMER_REAL: its processor time is not measured"
        )


def _invalid() -> int:
    return error_number("EINVAL")


def _left() -> float:
    return 0.0 if deadline is None else max(deadline - time.monotonic(), 1e-6)


def _set(seconds: float, interval: float) -> tuple[float, float]:
    global deadline, _interval
    previous = _left(), _interval if deadline is not None else 0.0
    _interval = interval
    if seconds:
        deadline = time.monotonic() + seconds
        _watch()
    else:
        deadline = None
        _ignore()
    return previous


def _watch() -> None:
    """Makes the interpreter call `_check`."""
    global _tool
    if _tool is not None:
        return
    monitoring = sys.monitoring
    free = (number for number in (4, 3, 5, 1, 2, 0) if monitoring.get_tool(number) is None)
    _tool = next(free, None)
    if _tool is None:
        raise ItimerError(_invalid(), "no tool of sys.monitoring is free for a timer")
    monitoring.use_tool_id(_tool, _NAME)
    events = monitoring.events
    # Pitfall: an exception of a callback for JUMP is not caught by the `try` around the loop.
    watched = (events.PY_START, events.PY_RESUME, events.LINE)
    for event in watched:
        monitoring.register_callback(_tool, event, _check)
    monitoring.set_events(_tool, sum(watched))


def _ignore() -> None:
    global _tool
    if _tool is not None:
        sys.monitoring.set_events(_tool, 0)
        sys.monitoring.free_tool_id(_tool)
        _tool = None


def _check(*arguments: Any) -> None:
    """Calls the handler if the time is over."""
    if deadline is not None and time.monotonic() >= deadline:
        expire(sys._getframe(1))


def expire(frame: FrameType | None = None) -> None:
    """Ends the timer, or starts it again with its interval, and calls the handler."""
    global deadline
    if _interval:
        deadline = time.monotonic() + _interval
    else:
        deadline = None
        _ignore()
    deliver(_ALARM, frame if frame is not None else sys._getframe(1))


def bounded(timeout: int | None) -> int | None:
    """Returns a timeout in nanoseconds that ends no later than the timer."""
    if deadline is None:
        return timeout
    left = max(int((deadline - time.monotonic()) * 1e9), 1)
    return left if timeout is None else min(timeout, left)


def expire_if_due() -> None:
    """Calls the handler if the time is over."""
    _check()


def wait() -> bool:
    """Waits until the timer ends, and calls the handler. Returns whether there was a timer."""
    if deadline is None:
        return False
    sleep(_left())
    # The interpreter may have called the handler already, before this line.
    _check()
    return True
