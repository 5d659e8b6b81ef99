"""Changes to modules of the standard library, made when they are imported."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from eryx_guest.refusal import NO_PROCESSES, denied
from eryx_net.builtin_functions import make_built_in

INTERNAL = (os.path.dirname(os.path.dirname(__file__)) + "/", "/world/", "/bundled/")
"""The directories of the image's own modules and of the generated bindings."""

# Modules in Python that are modules in C on Linux, and their functions that wait.
_C_MODULES = INTERNAL[0] + "eryx_modules/"
_WAITING = ("flock",)


def _subprocess(module: Any) -> None:
    stock = module.Popen.__init__

    @functools.wraps(stock)
    def refuse(self: Any, args: Any, *others: Any, **options: Any) -> None:
        words = [args] if isinstance(args, str | bytes | os.PathLike) else list(args)
        executable = options.get("executable") or next(iter(words), None)
        sys.audit("subprocess.Popen", executable, words, options.get("cwd"), options.get("env"))
        raise denied(f"subprocess: {_program(args)!r} cannot be started", NO_PROCESSES)

    module.Popen.__init__ = refuse


def _program(args: Any) -> str:
    """Returns the name of a program to start, at most 200 characters of it."""
    if isinstance(args, list | tuple) and args:
        args = args[0]
    return str(args)[:200] if isinstance(args, str | bytes) else type(args).__name__


def _multiprocessing_process(module: Any) -> None:
    def start(self: Any) -> None:
        """Raises PermissionError: a sandbox has no processes but its own."""
        raise denied("multiprocessing", NO_PROCESSES)

    module.BaseProcess.start = start


def _multiprocessing_pool(module: Any) -> None:
    from eryx_guest.threads import pools

    pools.patch(module)


def _process_executor(module: Any) -> None:
    def refuse() -> None:
        """Raises PermissionError, before the executor makes its queues and its thread."""
        raise denied("ProcessPoolExecutor", NO_PROCESSES)

    module._check_system_limits = refuse


def _resource_tracker(module: Any) -> None:
    def nothing(self: Any, *args: Any) -> None:
        """Does nothing: the process that would track resources does not exist."""

    tracker = module.ResourceTracker
    tracker.ensure_running = tracker._send = tracker.getfd = nothing


def _asyncio_base_events(module: Any) -> None:
    async def refuse(self: Any, protocol: Any, args: Any, *others: Any, **options: Any) -> None:
        raise denied(f"asyncio: {_program(args)!r} cannot be started", NO_PROCESSES)

    module.BaseEventLoop._make_subprocess_transport = refuse


def _inspect(module: Any) -> None:
    stock = module.getfile

    @functools.wraps(stock)
    def getfile(object: Any) -> Any:
        # `__main__.__file__` is the name of the latest program of a session. A class of an earlier
        # one has functions, of methods or annotations, that name their program.
        if isinstance(object, type) and object.__module__ == "__main__":
            for each in vars(object).values():
                if type(each) is FunctionType and each.__code__.co_filename.startswith("<script"):
                    return each.__code__.co_filename
        return stock(object)

    module.getfile = getfile


def _traceback(module: Any) -> None:
    def patched(stock: Any) -> Any:
        @functools.wraps(stock)
        def walk(start: Any) -> Iterator[Any]:
            if start is None and stock.__name__ == "walk_stack":
                start = sys._getframe(1)
            return _program_frames(stock(start))

        return walk

    for name in ("walk_stack", "walk_tb", "_walk_tb_with_full_positions"):
        setattr(module, name, patched(getattr(module, name)))


def _program_frames(found: Iterator[Any]) -> Iterator[Any]:
    """Leaves out the frames of the image's own modules, which replace C code of CPython.

    Programs rely on that there is a frame: if there are no others, these are returned.
    """
    frames = list(found)
    yield from [
        each for each in frames if not each[0].f_code.co_filename.startswith(INTERNAL)
    ] or frames


def _zoneinfo_common(module: Any) -> None:
    from eryx_guest import time_zones

    time_zones.patch_common(module)


def _zoneinfo_tzpath(module: Any) -> None:
    from eryx_guest import time_zones

    time_zones.patch_tzpath(module)


_PATCHES: dict[str, Callable[[Any], None]] = {
    "asyncio.base_events": _asyncio_base_events,
    "concurrent.futures.process": _process_executor,
    "inspect": _inspect,
    "multiprocessing.pool": _multiprocessing_pool,
    "multiprocessing.process": _multiprocessing_process,
    "multiprocessing.resource_tracker": _resource_tracker,
    "subprocess": _subprocess,
    "traceback": _traceback,
    "zoneinfo._common": _zoneinfo_common,
    "zoneinfo._tzpath": _zoneinfo_tzpath,
}


def patch(module: ModuleType) -> None:
    """Changes a module that was just imported, if it needs that."""
    apply = _PATCHES.get(module.__name__)
    if apply is not None:
        apply(module)
    if str(getattr(module, "__file__", "")).startswith(_C_MODULES) and "." not in module.__name__:
        make_built_in(module, module.__name__, waiting=_WAITING)
