"""CPU affinity of the processes under test."""

from __future__ import annotations

import contextlib
import os

ALL_CPUS = os.sched_getaffinity(0)
ONE_CPU = {min(ALL_CPUS)}


def pin(process: int, cpus: set[int]) -> None:
    """Pin all threads of a process, and the threads it starts later, to `cpus`."""
    # The process or any of its threads may have ended already.
    with contextlib.suppress(FileNotFoundError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cpus)
