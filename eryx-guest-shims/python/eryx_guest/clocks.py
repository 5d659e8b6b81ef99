"""CPU time clocks, which WASI lacks, and sleep, during which other threads run.

The CPU time is the time since the sandbox started.

WASI's C library returns the time since the interpreter started, which was during the build of the
image, on another clock. The monotonic clock of a sandbox starts at 0.
"""

import time
from typing import Any

from eryx_guest.threads import scheduler

_sleep = time.sleep


def install() -> None:
    """Replaces the functions of `time`."""
    time.process_time = process_time
    time.process_time_ns = process_time_ns
    time.thread_time = thread_time
    time.thread_time_ns = thread_time_ns
    time.sleep = sleep


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


def sleep(seconds: Any, /) -> None:
    """sleep(seconds)

    Delay execution for a given number of seconds.  The argument may be
    a floating-point number for subsecond precision."""
    if not scheduler.threads or seconds < 0:
        _sleep(seconds)
        return
    scheduler.wait("a time", timeout=int(seconds * 1_000_000_000))


for _function in (process_time, process_time_ns, thread_time, thread_time_ns, sleep):
    _function.__module__ = time.__name__
