"""The end of a program: what CPython does when its process exits, in the same order.

Threads are joined, the handlers of `atexit` run, and open files are closed. In a session nothing of
this happens, as its next program goes on with all of it.
"""

import atexit
import gc
import logging
import sys
import threading
import weakref
from typing import Any

import _eryx_native

from eryx_guest import open_files
from eryx_net.descriptors import ROOT
from eryx_net.sockets import os_functions

# Registered when `logging` was imported, during the build. Run here only if a program has handlers.
_shut_down_logging = logging.shutdown

# The handlers of `logging` in the snapshot: its handler of last resort.
_stock_handlers = 0

_threading: Any = threading
_logging: Any = logging


def freeze_start_state() -> None:
    """Prepares the state that programs start from: no program pays for the handlers of others."""
    global _stock_handlers
    os_functions.has_opened_descriptors = False
    atexit._clear()
    # It registers itself once, with the first finalizer.
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    _stock_handlers = len(_logging._handlerList)


def run(open_count: int, namespace: dict[str, Any]) -> None:
    """Ends the program in `namespace`. `open_count` is the number of its open files."""
    ran_code = False
    if _threading._threading_atexits or len(_threading._active) > 1:
        ran_code = True
        _call("Exception ignored on threading shutdown", _threading._shutdown)
    if atexit._ncallbacks():
        ran_code = True
        # Reports exceptions itself, `SystemExit` too, and never raises.
        atexit._run_exitfuncs()
    if len(_logging._handlerList) > _stock_handlers:
        ran_code = True
        _call("Exception ignored in atexit callback", _shut_down_logging)
    # File objects of the standard streams, and their duplicates, are no files of the host.
    if (
        open_count
        or _eryx_native.has_duplicates()
        or os_functions.has_opened_descriptors
        # Opened since the host counted.
        or (ran_code and max(_eryx_native.open_descriptors(), default=ROOT) > ROOT)
    ):
        _close_files(namespace)


def _call(message: str, function: Any) -> None:
    try:
        function()
    except BaseException as error:
        unraisable: Any = _Unraisable(error, message)
        sys.unraisablehook(unraisable)


class _Unraisable:
    """The argument of `sys.unraisablehook`, whose own type cannot be created in Python."""

    def __init__(self, error: BaseException, message: str) -> None:
        self.exc_type = type(error)
        self.exc_value = error
        self.exc_traceback = error.__traceback__
        self.err_msg = message
        self.object = None


def _close_files(namespace: dict[str, Any]) -> None:
    """Writes what open files have in their buffers.

    Drops the names of the program first, as CPython does: files that are nested in each other, such
    as a text file in a `gzip.GzipFile`, are then closed from the outermost to the innermost.
    """
    for is_private in (True, False):
        for name in list(namespace):
            if name.startswith("_") is is_private and name != "__builtins__":
                namespace[name] = None
    gc.collect()
    # Those that something else refers to, such as another module.
    for file in open_files.in_closing_order():
        _flush(file)


def _flush(file: Any) -> None:
    try:
        if not file.closed:
            file.flush()
    except BaseException:
        # As CPython does where the object that owns a file is gone. The next file is written.
        return
