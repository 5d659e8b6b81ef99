"""The export `preload`: imports packages and runs set-up code before a factory's snapshot."""

import importlib
import sys

import wit_world
from componentize_py_types import Err

from eryx_guest import heap, random_generators, runner


def preload(paths: list[str], imports: list[str], setup: bytes | None) -> None:
    """Prepares a snapshot. Raises `Err(PythonException)` with the first exception."""
    sys.path[:] = [*paths, runner.HOME]
    random_generators.track_seeding()
    raised: wit_world.PythonException | None = None
    importing = None
    try:
        importlib.invalidate_caches()
        for importing in imports:
            importlib.import_module(importing)
        importing = None
        if setup is not None:
            runner.run_setup(setup)
    except BaseException as error:
        raised = runner.describe_exception(error)
        if importing is not None:
            raised.message += f" (while importing {importing}{_hint(error)})"
    # The output of the set-up code belongs to the factory, not to every sandbox.
    runner.flush()
    if raised is None:
        try:
            _prepare_snapshot()
        except BaseException as error:
            # For example from an audit hook. An undeclared exception of an export would abort the
            # interpreter.
            raised = runner.describe_exception(error)
            raised.message += " (while the snapshot is taken)"
    if raised is not None:
        raise Err(raised)


def _prepare_snapshot() -> None:
    trace, profile = sys.gettrace(), sys.getprofile()
    # The hooks of the set-up code must not trace this.
    sys.settrace(None)
    sys.setprofile(None)
    random_generators.collect_unseeded()
    # The directory has other files in a sandbox, and may have the same time of modification.
    sys.path_importer_cache.pop(runner.HOME, None)
    heap.prepare_snapshot()
    sys.setprofile(profile)
    sys.settrace(trace)


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; give the factory the package that has it"
    return ""
