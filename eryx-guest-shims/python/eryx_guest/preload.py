"""What a factory's snapshot begins with."""

import importlib
import sys

import wit_world
from componentize_py_types import Err

from eryx_guest import heap, runner


def preload(paths: list[str], imports: list[str], setup: bytes | None) -> None:
    """Import and run for a snapshot. Raises `Err(Raised)` with the first exception."""
    sys.path[:] = paths
    raised: wit_world.Raised | None = None
    importing = None
    try:
        importlib.invalidate_caches()
        for importing in imports:
            importlib.import_module(importing)
        importing = None
        if setup is not None:
            runner.set_up(setup)
    except BaseException as error:
        raised = runner.describe(error)
        if importing is not None:
            raised.message += f" (while importing {importing}{_advice(error)})"
    if raised is not None:
        raise Err(raised)
    heap.settle()


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; give the factory the package that has it"
    return ""
