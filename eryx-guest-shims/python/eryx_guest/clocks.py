"""CPU time clocks, which WASI lacks: the time since the sandbox started.

WASI's C library returns the time since the interpreter started, which was during the build of the
image, on another clock. The monotonic clock of a sandbox starts at 0.
"""

import time


def install() -> None:
    """Replaces the functions of `time`."""
    time.process_time = process_time
    time.process_time_ns = process_time_ns


def process_time() -> float:
    """process_time() -> float

    Process time for profiling: the time since the sandbox started."""
    return time.monotonic()


def process_time_ns() -> int:
    """process_time_ns() -> int

    Process time for profiling as nanoseconds: the time since the sandbox started."""
    return time.monotonic_ns()


for _function in (process_time, process_time_ns):
    _function.__module__ = time.__name__
