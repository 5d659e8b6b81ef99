"""What a factory's snapshot begins with."""

import importlib
import sys

import wit_world
from componentize_py_types import Err

from eryx_guest import heap, random_generators, runner


def preload(paths: list[str], imports: list[str], setup: bytes | None) -> None:
    """Import and run for a snapshot. Raises `Err(Raised)` with the first exception."""
    sys.path[:] = paths
    random_generators.watch()
    raised: wit_world.PythonException | None = None
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
    # It belongs to the snapshot's output, not to that of every sandbox.
    runner.flush()
    if raised is None:
        try:
            _settle()
        except BaseException as error:
            # An audit hook, say: what leaves an export unannounced aborts the interpreter.
            raised = runner.describe(error)
            raised.message += " (while the snapshot is taken)"
    if raised is not None:
        raise Err(raised)


def _settle() -> None:
    trace, profile = sys.gettrace(), sys.getprofile()
    # Functions of the set-up code, which are not to see this.
    sys.settrace(None)
    sys.setprofile(None)
    random_generators.settle()
    heap.settle()
    sys.setprofile(profile)
    sys.settrace(trace)


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; give the factory the package that has it"
    return ""
