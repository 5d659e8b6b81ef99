"""The functions of `os` that a WASI build lacks: those for files, and how all are installed."""

import errno
import operator
import os
import posix
import stat
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import _eryx_heap
import _eryx_working_directory

from eryx_guest import processes, users
from eryx_guest.refusal import refusing
from eryx_net.builtin_functions import built_in
from eryx_net.dns.hostname import HOSTNAME

# The unit of files that a file system reports: the page size of WebAssembly.
_BLOCK = 65536

_MAX_NAME = 255

OPEN_FILES = 256
"""The files that a sandbox can have open."""

_NOT_A_TERMINAL = "a sandbox has no terminal"

ST_RDONLY, ST_NOSUID = 1, 2
GRND_NONBLOCK, GRND_RANDOM = 1, 2

_CONSTANTS = ("ST_RDONLY", "ST_NOSUID", "GRND_NONBLOCK", "GRND_RANDOM")

_posix: Any = posix
_stock_access: Any = posix.access
_stock_chdir: Any = posix.chdir
_stock_sysconf = posix.sysconf
_stock_uname: Any = posix.uname
_stock_pread: Any = posix.pread
_stock_pwrite: Any = posix.pwrite

# What one call of the host copies. WASI reads no more at a time, and a call that copies more than
# 4 MiB ends the program.
_LARGEST_COPY = 1 << 18


def statvfs(path: Any) -> Any:
    """Perform a statvfs system call on the given path: the space that the sandbox has for files."""
    if isinstance(path, int):
        return fstatvfs(path)
    os.stat(path)
    return _statvfs()


def fstatvfs(fd: int, /) -> Any:
    """Perform an fstatvfs system call on the given fd."""
    os.fstat(fd)
    return _statvfs()


def _statvfs() -> Any:
    space = capacity()
    free = space.free_file_bytes // _BLOCK
    return os.statvfs_result(
        (
            *(_BLOCK, _BLOCK, space.file_bytes // _BLOCK, free, free),
            *(space.files, space.free_files, space.free_files, ST_NOSUID, _MAX_NAME),
            # The number of the file system, which is the same for all files, as `st_dev`.
            0,
        )
    )


def capacity() -> Any:
    """Returns what the sandbox has, by its limits."""
    # Imported late: it imports asyncio, which needs the shims.
    import wit_world

    return wit_world.capacity()


def uname() -> Any:
    """Return an object identifying the current operating system."""
    stock = _stock_uname()
    return os.uname_result((stock.sysname, HOSTNAME, stock.release, stock.version, stock.machine))


def memory_bytes() -> int:
    """Returns the bytes of memory that the interpreter uses."""
    return int(_eryx_heap.memory_size())


def sysconf(name: Any, /) -> int:
    """Return an integer-valued system configuration variable."""
    number = posix.sysconf_names.get(name, name) if isinstance(name, str) else name
    if number in (_PHYSICAL_PAGES, _AVAILABLE_PAGES):
        # The C library returns the constant of another variable.
        return int(capacity().memory_bytes // _BLOCK)
    if number == _OPEN_FILES:
        return OPEN_FILES
    return _stock_sysconf(name)


_PHYSICAL_PAGES = posix.sysconf_names.get("SC_PHYS_PAGES")
_AVAILABLE_PAGES = posix.sysconf_names.get("SC_AVPHYS_PAGES")
_OPEN_FILES = posix.sysconf_names.get("SC_OPEN_MAX")


def access(
    path: Any,
    mode: int,
    *,
    dir_fd: int | None = None,
    effective_ids: bool = False,
    follow_symlinks: bool = True,
) -> bool:
    """Use the real uid/gid to test for access to a path.

    All files can be written, except those of read-only mounts. No file can be executed.
    """
    options = {
        "dir_fd": dir_fd,
        "effective_ids": effective_ids,
        "follow_symlinks": follow_symlinks,
    }
    # WASI's C library looks for a right that no directory of WASI 0.2 has.
    if not _stock_access(path, mode & ~os.W_OK, **options):
        return False
    if mode & os.X_OK:
        status = os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        if stat.S_ISREG(status.st_mode):
            return False
    return not mode & os.W_OK or _is_writable(path, dir_fd, follow_symlinks)


def _is_writable(path: Any, dir_fd: int | None, follow_symlinks: bool) -> bool:
    try:
        status = os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        if stat.S_ISDIR(status.st_mode):
            # Changes nothing where it is allowed.
            times = (status.st_atime_ns, status.st_mtime_ns)
            os.utime(path, ns=times, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        elif not stat.S_ISLNK(status.st_mode):
            os.close(os.open(path, os.O_WRONLY, dir_fd=dir_fd))
    except OSError as error:
        # A directory of the embedder may be writable and belong to another user.
        return error.errno == errno.EPERM
    return True


def chown(
    path: Any, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True
) -> None:
    """Change the owner and group id of path to the numeric uid and gid: those of the only user."""
    if isinstance(path, int):
        os.fstat(path)
    else:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    users.check_owner("os.chown", uid, gid)


def lchown(path: Any, uid: int, gid: int) -> None:
    """Change the owner and group id of path, without following symbolic links."""
    chown(path, uid, gid, follow_symlinks=False)


def fchown(fd: int, uid: int, gid: int) -> None:
    """Change the owner and group id of the file specified by file descriptor."""
    chown(operator.index(fd), uid, gid)


def fchmod(fd: int, mode: int) -> None:
    """Change the access permissions of the file given by file descriptor.

    Files keep their permissions: it has no effect, as `os.chmod`.
    """
    os.fstat(fd)
    operator.index(mode)


def chmod(path: Any, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
    """Change the access permissions of a file.

    Files keep their permissions: it has no effect.
    """
    # The C library does not even look for the file.
    number = operator.index(mode)
    sys.audit("os.chmod", path, number, -1 if dir_fd is None else dir_fd)
    if isinstance(path, int):
        os.fstat(path)
    else:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)


def lchmod(path: Any, mode: int) -> None:
    """Change the access permissions of a file, without following symbolic links: no effect."""
    os.lstat(path)
    operator.index(mode)


def chdir(path: Any) -> None:
    """Change the current working directory to the specified path."""
    _stock_chdir(path)
    # The C library appends a relative path to the one before, with its links and each "..".
    given = os.getcwdb()
    actual = os.path.realpath(given)
    if actual != given:
        _eryx_working_directory.set(actual)


def sync() -> None:
    """Force write of everything to disk: the files of a sandbox are in memory."""


def getrandom(size: int, flags: int = 0) -> bytes:
    """Obtain a series of random bytes."""
    if size < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return os.urandom(size)


def posix_fallocate(fd: int, offset: int, length: int, /) -> None:
    """Ensure a file has allocated at least a particular number of bytes on disk."""
    if offset < 0 or length <= 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if os.fstat(fd).st_size < offset + length:
        os.ftruncate(fd, offset + length)


def pread(fd: int, length: int, offset: int, /) -> bytes:
    """Read a number of bytes from a file descriptor starting at a particular offset."""
    data: bytes = _stock_pread(fd, length, offset)
    if len(data) == length or not data:
        return data
    parts = [data]
    done = len(data)
    while done < length:
        data = _stock_pread(fd, min(length - done, _LARGEST_COPY), offset + done)
        if not data:
            break
        parts.append(data)
        done += len(data)
    return b"".join(parts)


def pwrite(fd: int, buffer: Any, offset: int, /) -> int:
    """Write bytes to a file descriptor starting at a particular offset."""
    with memoryview(buffer) as given, given.cast("B") as view:
        done: int = _stock_pwrite(fd, view[:_LARGEST_COPY], offset)
        while done < len(view):
            try:
                count = _stock_pwrite(fd, view[done : done + _LARGEST_COPY], offset + done)
            except OSError:
                # The next call has the error.
                break
            done += count
        return done


def readv(fd: int, buffers: Sequence[Any], /) -> int:
    """Read from a file descriptor fd into an iterable of buffers."""
    total = 0
    for buffer in buffers:
        count = _posix.readinto(fd, buffer)
        total += count
        if count < memoryview(buffer).nbytes:
            break
    return total


def writev(fd: int, buffers: Sequence[Any], /) -> int:
    """Iterate over buffers, and write the contents of each to a file descriptor."""
    return os.write(fd, b"".join(memoryview(buffer).cast("B") for buffer in buffers))


def preadv(fd: int, buffers: Sequence[Any], offset: int, flags: int = 0, /) -> int:
    """Read from a file descriptor fd into buffers, from the position offset."""
    total = 0
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        data = os.pread(fd, view.nbytes, offset + total)
        view[: len(data)] = data
        total += len(data)
        if len(data) < view.nbytes:
            break
    return total


def pwritev(fd: int, buffers: Sequence[Any], offset: int, flags: int = 0, /) -> int:
    """Write the contents of buffers to a file descriptor, at the position offset."""
    return os.pwrite(fd, b"".join(memoryview(buffer).cast("B") for buffer in buffers), offset)


def lockf(fd: int, command: int, length: int, /) -> None:
    """Apply, test or remove a POSIX lock on an open file: no other process can have one."""
    os.fstat(fd)
    operator.index(length)
    if command not in (posix.F_LOCK, posix.F_TLOCK, posix.F_ULOCK, posix.F_TEST):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def times() -> Any:
    """Return a collection containing process timing information."""
    return os.times_result((time.process_time(), 0.0, 0.0, 0.0, time.monotonic()))


def get_terminal_size(fd: int = 1, /) -> Any:
    """Raises OSError: no descriptor of a sandbox is a terminal."""
    _no_terminal(fd)


def ttyname(fd: int, /) -> str:
    """Raises OSError: no descriptor of a sandbox is a terminal."""
    _no_terminal(fd)


def tcgetpgrp(fd: int, /) -> int:
    """Raises OSError: no descriptor of a sandbox is a terminal."""
    _no_terminal(fd)


def tcsetpgrp(fd: int, pgid: int, /) -> None:
    """Raises OSError: no descriptor of a sandbox is a terminal."""
    _no_terminal(fd)


def ctermid() -> str:
    """Return the name of the controlling terminal for this process, which a sandbox lacks."""
    return "/dev/tty"


def _no_terminal(fd: int) -> NoReturn:
    if operator.index(fd) not in (0, 1, 2):
        os.fstat(fd)
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


# The device numbers of Linux: 12 bits of the major number above 8 of the minor one, and the rest of
# both above.


def makedev(major: int, minor: int, /) -> int:
    """Compose a raw device number from the major and minor device numbers."""
    major, minor = _device(major) & 0xFFFFFFFF, _device(minor) & 0xFFFFFFFF
    low = (major & 0xFFF) << 8 | minor & 0xFF
    return (major & 0xFFFFF000) << 32 | (minor & 0xFFFFFF00) << 12 | low


def major(device: int, /) -> int:
    """Extract a device major number from a raw device number."""
    device = _device(device)
    return _part(device >> 32 & 0xFFFFF000 | device >> 8 & 0xFFF)


def minor(device: int, /) -> int:
    """Extract a device minor number from a raw device number."""
    device = _device(device)
    return _part(device >> 12 & 0xFFFFFF00 | device & 0xFF)


def _device(number: Any) -> int:
    """Returns an unsigned number of 64 bits. -1 stands for no device."""
    if not isinstance(number, int):
        raise TypeError("an integer is required")
    if number < -1:
        raise OverflowError("can't convert negative int to unsigned")
    if number >= 1 << 64:
        raise OverflowError("int too big to convert")
    return number & (1 << 64) - 1


def _part(number: int) -> int:
    return -1 if number == 0xFFFFFFFF else number


_FUNCTIONS = (
    *(statvfs, fstatvfs, chown, lchown, fchown, fchmod, lchmod, sync, getrandom, posix_fallocate),
    *(readv, writev, preadv, pwritev, lockf, makedev, major, minor),
    *(get_terminal_size, ttyname, tcgetpgrp, tcsetpgrp, ctermid),
    refusing("os.openpty", _NOT_A_TERMINAL),
    refusing("os.login_tty", _NOT_A_TERMINAL),
    refusing("os.chroot", "the root directory of a sandbox is its own already"),
    refusing("os.mkfifo", "a sandbox has no other process to connect to; use `os.pipe()`"),
    refusing("os.mknod", "a sandbox has no devices; use a file"),
)

# Functions of WASI that return values of the build machine, check rights that do not exist, do not
# check the files, or copy too little or too much at a time.
_REPLACED = (processes.getpid, sysconf, times, uname, access, chdir, chmod, pread, pwrite)

# The functions of `os` that take some arguments.
_SUPPORTS = (
    os.supports_dir_fd,
    os.supports_effective_ids,
    os.supports_fd,
    os.supports_follow_symlinks,
)


def install() -> None:
    """Adds what `os` lacks. Call this before other modules of the library test what it has."""
    functions: dict[str, Any] = {
        each.__name__: each for each in (*_FUNCTIONS, *processes.FUNCTIONS, *users.FUNCTIONS)
    }
    values = {name: getattr(processes, name) for name in processes.CONSTANTS}
    values |= {name: globals()[name] for name in _CONSTANTS}
    values |= functions
    added = [name for name in values if not hasattr(posix, name)]
    for name in added:
        _set(name, values[name])
    for function in _REPLACED:
        name = function.__name__
        stock = getattr(posix, name, None)
        _set(name, function)
        for functions_with_it in _SUPPORTS:
            if stock in functions_with_it:
                functions_with_it.add(getattr(posix, name))
    os.__all__.extend(name for name in added if name not in os.__all__)


def _set(name: str, value: Any) -> None:
    if callable(value):
        value.__module__ = posix.__name__
        value = built_in(value)
    for module in (os, posix):
        setattr(module, name, value)
