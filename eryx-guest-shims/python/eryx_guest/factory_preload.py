"""The export `preload`: imports packages and runs set-up code before a factory's snapshot."""

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import _eryx_native_modules
import wit_world
from componentize_py_types import Err

from eryx_guest import heap, open_files, processes, random_generators, runner
from eryx_guest.threads import scheduler

# The collections of garbage before the snapshot: what finalizers leave may be garbage again.
_MAX_COLLECTIONS = 3

_TOOL_IDS = range(6)

_add_audit_hook = sys.addaudithook

# Whether a snapshot is taken, so that the audit hooks of the program are not called.
_is_paused = False


def preload(paths: list[str], imports: list[str], setup: bytes | None) -> None:
    """Prepares a snapshot. Raises `Err(PythonException)` with the first exception."""
    sys.path[:] = [*paths, runner.HOME]
    sys.addaudithook = _add_pausable_audit_hook
    raised: wit_world.PythonException | None = None
    importing = None
    try:
        importlib.invalidate_caches()
        _eryx_native_modules.start()
        for importing in imports:
            importlib.import_module(importing)
        importing = None
        if setup is not None:
            runner.run_setup(setup)
        if scheduler.threads:
            scheduler.run_to_end()
        with _without_hooks():
            files = open_files.in_closing_order()
            open_files.close_listings()
        open_files.close(files)
        # Runs finalizers and callbacks of weak references here, where they are part of the set-up.
        for _ in range(_MAX_COLLECTIONS):
            if not gc.collect():
                break
    except BaseException as error:
        raised = runner.describe_exception(error)
        if importing is not None:
            raised.message += f" (while importing {importing}{_hint(error)})"
    # The output of the set-up code belongs to the factory, not to every sandbox.
    runner.flush()
    if sys.addaudithook is _add_pausable_audit_hook:
        sys.addaudithook = _add_audit_hook
    if raised is None:
        try:
            with _without_hooks():
                _prepare_snapshot()
        except BaseException as error:
            # An undeclared exception of an export would abort the interpreter.
            raised = runner.describe_exception(error)
            raised.message += " (while the snapshot is taken)"
    if raised is not None:
        raise Err(raised)


def _prepare_snapshot() -> None:
    """Runs no code of the program."""
    # The directory has other files in a sandbox, and may have the same time of modification. The
    # importer is kept: its class may have a finalizer.
    importer = sys.path_importer_cache.pop(runner.HOME, None)
    processes.forget_id()
    scheduler.restart_clock()
    heap.prepare_snapshot_with_garbage(random_generators.collect_unseeded)
    del importer


@contextmanager
def _without_hooks() -> Iterator[None]:
    """Keeps the hooks that a program has set for events of the interpreter from being called."""
    global _is_paused
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    monitoring: Any = sys.monitoring
    events = {}
    for tool in _TOOL_IDS:
        if monitoring.get_tool(tool) is not None:
            events[tool] = monitoring.get_events(tool)
            monitoring.set_events(tool, 0)
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    was_enabled = gc.isenabled()
    gc.disable()
    _is_paused = True
    try:
        yield
    finally:
        _is_paused = False
        if was_enabled:
            gc.enable()
        gc.callbacks.extend(callbacks)
        for tool, active in events.items():
            monitoring.set_events(tool, active)
        sys.setprofile(profile)
        sys.settrace(trace)


def _add_pausable_audit_hook(hook: Callable[[str, tuple[Any, ...]], Any]) -> None:
    """Adds an audit hook that is not called while the snapshot is taken.

    An audit hook cannot be removed, and reading the objects of the heap is an event.
    """

    def pausable(event: str, arguments: tuple[Any, ...]) -> None:
        if not _is_paused:
            hook(event, arguments)

    _add_audit_hook(pausable)


_add_pausable_audit_hook.__name__ = _add_audit_hook.__name__
_add_pausable_audit_hook.__module__ = _add_audit_hook.__module__


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "; give the factory the package that has it"
    return ""
