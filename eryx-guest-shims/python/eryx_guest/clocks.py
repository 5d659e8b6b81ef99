"""The clocks of `time` with Linux's numbers, and sleep, during which other threads run.

The CPU time is the time since the sandbox started.

WASI's C library returns the time since the interpreter started, which was during the build of the
image, on another clock. The monotonic clock of a sandbox starts at 0.
"""

import errno
import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from eryx_guest.threads import scheduler
from eryx_net import interval_timers
from eryx_net.arguments import c_int
from eryx_net.builtin_functions import built_in
from eryx_net.timeouts import checked_nanoseconds

_sleep = time.sleep

# The clocks of Linux, by name. WASI's numbers are addresses.
_CLOCKS = {
    "CLOCK_REALTIME": 0,
    "CLOCK_MONOTONIC": 1,
    "CLOCK_PROCESS_CPUTIME_ID": 2,
    "CLOCK_THREAD_CPUTIME_ID": 3,
    "CLOCK_MONOTONIC_RAW": 4,
    "CLOCK_BOOTTIME": 7,
    "CLOCK_TAI": 11,
}
_WALL_CLOCKS = (0, 11)

# What `get_clock_info` reports of each: the clock, and whether it is monotonic.
_REPORTED = {
    "time": ("CLOCK_REALTIME", False),
    "monotonic": ("CLOCK_MONOTONIC", True),
    "perf_counter": ("CLOCK_MONOTONIC", True),
    "process_time": ("CLOCK_PROCESS_CPUTIME_ID", True),
    "thread_time": ("CLOCK_THREAD_CPUTIME_ID", True),
}
_RESOLUTION = 1e-09


def install() -> None:
    """Replaces the functions of `time`."""
    for function in _FUNCTIONS:
        function.__module__ = time.__name__
        setattr(time, function.__name__, built_in(function))
    for name, number in _CLOCKS.items():
        setattr(time, name, number)
    sleep.__module__ = time.__name__
    time.sleep = sleep
    interval_timers.sleep = sleep


def clock_gettime(clk_id: int, /) -> float:
    """Return the time of the specified clock clk_id as a float."""
    return time.time() if _clock(clk_id) in _WALL_CLOCKS else time.monotonic()


def clock_gettime_ns(clk_id: int, /) -> int:
    """Return the time of the specified clock clk_id as nanoseconds (int)."""
    return time.time_ns() if _clock(clk_id) in _WALL_CLOCKS else time.monotonic_ns()


def _clock(clk_id: Any) -> int:
    try:
        number = c_int(clk_id)
    except (TypeError, OverflowError):
        kind = type(clk_id).__name__
        raise TypeError(f"clk_id should be integer, not {kind}") from None
    return _known(number)


def _known(number: int) -> int:
    if number not in _CLOCKS.values():
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return number


def clock_getres(clk_id: int, /) -> float:
    """Return the resolution (precision) of the specified clock clk_id."""
    _known(c_int(clk_id))
    return _RESOLUTION


def clock_settime(clk_id: int, time: float, /) -> None:
    """Raises PermissionError: a program cannot set the clock of the machine."""
    number = c_int(clk_id)
    checked_nanoseconds(time)
    _refuse_to_set(number)


def clock_settime_ns(clk_id: int, time: int, /) -> None:
    """Raises PermissionError: a program cannot set the clock of the machine."""
    number = c_int(clk_id)
    if not isinstance(time, int):
        raise TypeError(f"expect int, got {type(time).__name__}")
    _refuse_to_set(number)


def _refuse_to_set(number: int) -> None:
    error = errno.EPERM if number == _CLOCKS["CLOCK_REALTIME"] else errno.EINVAL
    raise OSError(error, os.strerror(error))


def get_clock_info(name: str, /) -> SimpleNamespace:
    """get_clock_info(name: str) -> dict

    Get information of the specified clock."""
    if not isinstance(name, str):
        raise TypeError(f"get_clock_info() argument 1 must be str, not {type(name).__name__}")
    if name not in _REPORTED:
        raise ValueError("unknown clock")
    clock, monotonic = _REPORTED[name]
    return SimpleNamespace(
        implementation=f"clock_gettime({clock})",
        monotonic=monotonic,
        adjustable=not monotonic,
        resolution=_RESOLUTION,
    )


def process_time() -> float:
    """process_time() -> float

    Process time for profiling: the time since the sandbox started."""
    return time.monotonic()


def process_time_ns() -> int:
    """process_time_ns() -> int

    Process time for profiling as nanoseconds: the time since the sandbox started."""
    return time.monotonic_ns()


def thread_time() -> float:
    """thread_time() -> float

    Thread time for profiling: the time since the sandbox started."""
    return time.monotonic()


def thread_time_ns() -> int:
    """thread_time_ns() -> int

    Thread time for profiling as nanoseconds: the time since the sandbox started."""
    return time.monotonic_ns()


def sleep(seconds: Any, /, *more: Any) -> None:
    """sleep(seconds)

    Delay execution for a given number of seconds.  The argument may be
    a floating-point number for subsecond precision."""
    if more:
        # The attribute of a class: a built-in function is no method there.
        if len(more) > 1 or isinstance(seconds, int | float):
            raise TypeError(f"time.sleep() takes exactly one argument ({1 + len(more)} given)")
        (seconds,) = more
    if not scheduler.threads and interval_timers.deadline is None:
        _sleep(seconds)
        return
    sys.audit("time.sleep", seconds)
    timeout = checked_nanoseconds(seconds)
    if timeout < 0:
        raise ValueError("sleep length must be non-negative")
    if scheduler.threads:
        scheduler.wait("a time", timeout=timeout)
    else:
        _sleep_with_timer(timeout)


def _sleep_with_timer(timeout: int) -> None:
    """Sleeps, and on after the handler of a timer returns (PEP 475)."""
    end = time.monotonic_ns() + timeout
    while (left := end - time.monotonic_ns()) > 0:
        if scheduler.threads:
            # The handler has started one.
            scheduler.wait("a time", timeout=left)
        else:
            bounded = interval_timers.bounded(left)
            _sleep((left if bounded is None else bounded) / 1e9)
            interval_timers.expire_if_due()


_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    *(process_time, process_time_ns, thread_time, thread_time_ns),
    *(clock_gettime, clock_gettime_ns, clock_getres, clock_settime, clock_settime_ns),
    get_clock_info,
)
