"""Which processors run what is measured."""

from __future__ import annotations

import contextlib
import os

ALL = os.sched_getaffinity(0)
ONE = {min(ALL)}


def place(process: int, processors: set[int]) -> None:
    """Have these run all threads of a process, and those it starts later."""
    # It may have ended meanwhile, and any of its threads.
    with contextlib.suppress(FileNotFoundError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), processors)
