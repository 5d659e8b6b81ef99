"""Every function and class that stands for one of CPython's C modules looks like it."""

import copy
import importlib
import inspect
import pickle
import sys
from types import FunctionType

from eryx_guest.stdlib_importer import UNAVAILABLE
from eryx_guest.stdlib_patches import INTERNAL

# Modules in C on Linux. Most of those in Python are on top of them.
C_MODULES = sorted(
    set(sys.builtin_module_names)
    | {"_bz2", "_ctypes", "_curses", "_curses_panel", "_hashlib", "_lzma", "_multiprocessing"}
    | {"_posixshmem", "_posixsubprocess", "_socket", "_ssl", "_zstd", "fcntl", "grp", "mmap"}
    | {"pwd", "readline", "resource", "select", "syslog", "termios"}
)

# Those that wait are functions in Python, below which other threads run.
WAITING = {
    *("time.sleep", "select.select", "posix.read", "posix.readinto", "posix.write", "posix.pread"),
    *("_socket.getaddrinfo", "_socket.gethostbyaddr", "_socket.gethostbyname"),
    *("_socket.gethostbyname_ex", "_socket.getnameinfo"),
    *("_signal.sigwait", "_signal.sigwaitinfo", "_signal.sigtimedwait", "_signal.pause"),
    *("_signal.pthread_sigmask", "fcntl.flock", "posix.sendfile"),
}

# What the modules import from others of the image.
HELPERS = {
    *("BuiltinFunction", "WaitingFunction", "built_in", "make_built_in", "denied", "os_error"),
    *("StructSequence", "Compressor", "Decompressor", "PipeEnd", "HasFileno", "socket_pair"),
    *("c_int", "c_long", "file_descriptor", "check_range", "nanoseconds", "to_bytes"),
}

problems = []


def check(module_name, name, value):
    where = f"{module_name}.{name}"
    if value.__module__.startswith(("eryx", "_eryx")) or "<locals>" in value.__qualname__:
        problems.append(f"{where}: is {value.__module__}.{value.__qualname__}")
        return
    try:
        if pickle.loads(pickle.dumps(value)) is not value:
            problems.append(f"{where}: is another object after pickling")
        if copy.copy(value) is not value or copy.deepcopy(value) is not value:
            problems.append(f"{where}: has a copy")
    except Exception as error:
        problems.append(f"{where}: {type(error).__name__}: {error}")
    if isinstance(value, type):
        return
    if value.__doc__ is None:
        problems.append(f"{where}: has no docstring")
    try:
        inspect.signature(value)
    except Exception as error:
        problems.append(f"{where}: {type(error).__name__}: {error}")
    is_waiting = type(value) is FunctionType
    if is_waiting and where not in WAITING:
        problems.append(f"{where}: is a function in Python")
    if not is_waiting and repr(value) != f"<built-in function {value.__name__}>":
        problems.append(f"{where}: is {value!r}")


def is_ours(value):
    function = getattr(value, "__wrapped__", value)
    if isinstance(value, type):
        return any(
            type(each) is FunctionType and each.__code__.co_filename.startswith(INTERNAL)
            for each in vars(value).values()
        )
    return type(function) is FunctionType and function.__code__.co_filename.startswith(INTERNAL)


checked = 0
for module_name in C_MODULES:
    if module_name.startswith("_eryx") or module_name in UNAVAILABLE:
        continue
    try:
        module = importlib.import_module(module_name)
    except ImportError:
        continue
    for name, value in vars(module).items():
        is_private = name.startswith("_") and not name.startswith("_exit")
        if not is_private and name not in HELPERS and is_ours(value):
            check(module_name, name, value)
            checked += 1
assert not problems, "\n".join(problems)
assert checked > 200, checked


def decorated():
    """A static method of a program is none of them."""


for operation in (copy.copy, pickle.dumps):
    try:
        operation(staticmethod(decorated))
    except TypeError as error:
        assert str(error) == "cannot pickle 'staticmethod' object", error
    else:
        raise AssertionError(operation)
print("ok")
