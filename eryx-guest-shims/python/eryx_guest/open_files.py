"""The open files of a program, and its iterations of `os.scandir`, found among its objects."""

import _io
import errno
import gc
import posix
import stat
import sys
from types import ModuleType
from typing import Any

import _eryx_native

from eryx_net.descriptors import FIRST, ROOT

# Programs may replace them.
_fstat = posix.fstat
_is_regular = stat.S_ISREG

# The classes of what `open` returns for writing, without subclasses.
_TEXT = _io.TextIOWrapper
_BUFFERS = (_io.BufferedWriter, _io.BufferedRandom)


def in_closing_order() -> list[Any]:
    """Returns the objects of `io` that a program has, those first in which others are nested.

    Leaves out the standard streams. Runs no code of the program: it compares with classes of C, as
    those of `io` are abstract, and look at the metaclasses of others.
    """
    standard = set()
    for name in ("stdin", "stdout", "stderr"):
        for stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
            buffer = getattr(stream, "buffer", None)
            standard |= {id(stream), id(buffer), id(getattr(buffer, "raw", None))}
    files = [each for each in gc.get_objects() if issubclass(type(each), _io._IOBase)]
    files = [each for each in files if id(each) not in standard]
    return sorted(files, key=_depth)


def _depth(file: Any) -> int:
    if issubclass(type(file), _io._TextIOBase):
        return 0
    return 2 if issubclass(type(file), _io._RawIOBase) else 1


def close(files: list[Any]) -> None:
    """Closes those of `files` that are in the file system: no other instance can use them.

    Raises the first exception of a file that cannot be written, and OSError(EBUSY) for a descriptor
    that no file object has.
    """
    for file in files:
        if not file.closed and _is_of_file_system(file):
            file.close()
    left = [each for each in _eryx_native.open_descriptors() if each != ROOT]
    if left:
        raise OSError(
            errno.EBUSY,
            f"the descriptor {left[0]} is open, and could not be used in a sandbox; close it where "
            "it was opened (os.open, os.dup, sqlite3.connect), and open it again in the program",
        )


def _is_of_file_system(file: Any) -> bool:
    """Returns whether a file object, or the one that is nested in it, is a file, and no pipe."""
    for name in ("buffer", "raw"):
        file = getattr(file, name, file)
    return issubclass(type(file), _io.FileIO) and file.fileno() < FIRST


def write_buffers() -> None:
    """Writes what the objects of `open` have in buffers to their files, which stay open.

    Leaves out classes of the program, and everything but regular files: no code of the program
    runs, and nothing is printed or sent. Never raises.
    """
    files = [each for each in gc.get_objects() if type(each) is _TEXT or type(each) in _BUFFERS]
    for file in files:
        _write_buffer(file)


def _write_buffer(file: Any) -> None:
    try:
        buffer = file.buffer if type(file) is _TEXT else file
        if type(buffer) not in _BUFFERS or type(buffer.raw) is not _io.FileIO:
            return
        descriptor = buffer.raw.fileno()
        if descriptor < FIRST and _is_regular(_fstat(descriptor).st_mode):
            file.flush()
    except Exception:
        # Closed or detached, or it cannot be written: it keeps what it has, and says so when the
        # program closes it.
        return


def close_listings() -> None:
    """Closes the iterators of `os.scandir`, which the garbage collector does not track.

    It does not return the objects of the image either, such as the names of `__main__`.
    """
    modules = [vars(module) for module in sys.modules.values() if type(module) is ModuleType]
    for each in (*gc.get_objects(), *modules):
        for referent in gc.get_referents(each):
            kind = type(referent)
            if kind.__name__ == "ScandirIterator" and kind.__module__ == posix.__name__:
                referent.close()
