"""CPU time clocks, which WASI lacks, and sleep, during which other threads run.

The CPU time is the time since the sandbox started.

WASI's C library returns the time since the interpreter started, which was during the build of the
image, on another clock. The monotonic clock of a sandbox starts at 0.
"""

import time
from typing import Any

from eryx_guest.threads import scheduler
from eryx_net import interval_timers
from eryx_net.builtin_functions import built_in

_sleep = time.sleep


def install() -> None:
    """Replaces the functions of `time`."""
    for function in (process_time, process_time_ns, thread_time, thread_time_ns):
        setattr(time, function.__name__, built_in(function))
    time.sleep = sleep
    interval_timers.sleep = sleep


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
    if scheduler.threads and not seconds < 0:
        scheduler.wait("a time", timeout=int(seconds * 1_000_000_000))
    elif interval_timers.deadline is None or seconds < 0:
        _sleep(seconds)
    else:
        _sleep_with_timer(seconds)


def _sleep_with_timer(seconds: float) -> None:
    """Sleeps, and on after the handler of a timer returns (PEP 475)."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        timeout = int(left * 1e9)
        if scheduler.threads:
            # The handler has started one.
            scheduler.wait("a time", timeout=timeout)
        else:
            bounded = interval_timers.bounded(timeout)
            _sleep((timeout if bounded is None else bounded) / 1e9)
            interval_timers.expire_if_due()


for _function in (process_time, process_time_ns, thread_time, thread_time_ns, sleep):
    _function.__module__ = time.__name__
