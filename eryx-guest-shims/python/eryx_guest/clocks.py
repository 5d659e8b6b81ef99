"""The clocks of the processor's time, which WASI does not have.

Its C library takes them for the time since the interpreter started: while the image was built, on
another clock. A sandbox's own monotonic clock begins at 0 with it.
"""

import time


def install() -> None:
    """Have them begin with the sandbox, as the clock they are taken from does."""
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
