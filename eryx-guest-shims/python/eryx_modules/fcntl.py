"""Control of descriptors, and locks of files between the open files of this program.

No other process has files of a sandbox, so that locks of processes (`lockf`) are always granted.
Those of open files (`flock`) exclude each other.
"""

import contextlib
import errno
import operator
import os
import sys
from typing import Any

import _eryx_native

from eryx_guest.threads import scheduler
from eryx_net import descriptors
from eryx_net.arguments import c_int, file_descriptor
from eryx_net.pipes import CAPACITY, PipeEnd

# The numbers of Linux, except for those that WASI's C library defines.
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL = 0, 1, 2, 3, 4
F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN, F_SETSIG, F_GETSIG = 5, 6, 7, 8, 9, 10, 11
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
F_GETLK64, F_SETLK64, F_SETLKW64 = F_GETLK, F_SETLK, F_SETLKW
F_SETLEASE, F_GETLEASE, F_NOTIFY, F_DUPFD_CLOEXEC = 1024, 1025, 1026, 1030
F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS = 1031, 1032, 1033, 1034
F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
F_EXLCK, F_SHLCK = 4, 8
FD_CLOEXEC = 1
FASYNC = 0x2000
LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8
LOCK_MAND, LOCK_READ, LOCK_WRITE, LOCK_RW = 32, 64, 128, 192

# The locks of files, by device and inode: the open files that hold one, and its kind.
_locks: dict[tuple[int, int], dict[int, int]] = {}


def fcntl(fd: Any, cmd: int, arg: Any = 0, /) -> Any:
    """Perform the operation `cmd` on file descriptor fd: flags of descriptors, and locks."""
    number = file_descriptor(fd)
    cmd = c_int(cmd)
    sys.audit("fcntl.fcntl", number, cmd, arg)
    if cmd in (F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW):
        _check_open(number)
        return _answer(arg)
    value = arg if isinstance(arg, int) else 0
    if cmd in (F_DUPFD, F_DUPFD_CLOEXEC):
        return _duplicate(number, value)
    if cmd == F_GETFD:
        return 0 if os.get_inheritable(number) else FD_CLOEXEC
    if cmd == F_SETFD:
        os.set_inheritable(number, not value & FD_CLOEXEC)
        return 0
    if cmd == F_GETFL:
        flags = _open_flags(number)
        return flags if os.get_blocking(number) else flags | os.O_NONBLOCK
    if cmd == F_SETFL:
        os.set_blocking(number, not value & os.O_NONBLOCK)
        return 0
    if cmd in (F_GETPIPE_SZ, F_SETPIPE_SZ) and isinstance(descriptors.find(number), PipeEnd):
        return CAPACITY
    if cmd in (F_SETOWN, F_GETOWN, F_SETSIG, F_GETSIG):
        _check_open(number)
        return 0
    _check_open(number)
    raise OSError(
        errno.EINVAL,
        f"fcntl: a sandbox has no operation {cmd}; it has those for flags and for locks",
    )


def _open_flags(fd: int) -> int:
    """Returns how a file, a socket or the end of a pipe was opened."""
    if fd >= descriptors.FIRST:
        end = descriptors.find(fd)
        return end.flags if isinstance(end, PipeEnd) else os.O_RDWR
    return int(_eryx_native.flags(fd)) & ~os.O_NONBLOCK


def _duplicate(fd: int, least: int) -> int:
    """Returns a new descriptor with a number of at least `least`."""
    _check_open(fd)
    if not 0 <= least < descriptors.MAX_DUPLICATE:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if fd >= descriptors.FIRST:
        return os.dup(fd)
    for number in range(least, descriptors.MAX_DUPLICATE):
        try:
            os.fstat(number)
        except OSError:
            copy: int = _eryx_native.dup2(fd, number)
            return copy
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _open_file(fd: int) -> int:
    """Returns the identity of the open file of a descriptor, whose number may be used again.

    That of a socket or pipe is its descriptor, negated: it is not used again.
    """
    return -fd if fd >= descriptors.FIRST else int(_eryx_native.identity(fd))


def _is_open(identity: int) -> bool:
    if identity < 0:
        return descriptors.find(-identity) is not None
    return bool(_eryx_native.is_open(identity))


def _answer(arg: Any) -> Any:
    """Returns the result for a `struct flock`: of the type F_UNLCK, as no process has a lock."""
    if isinstance(arg, int):
        return 0
    content = bytearray(arg)
    content[:2] = F_UNLCK.to_bytes(2, "little")
    return bytes(content)


def _check_open(fd: int) -> os.stat_result:
    return os.fstat(fd)


def ioctl(fd: Any, request: int, arg: Any = 0, mutate_flag: bool = True, /) -> Any:
    """Raises OSError(ENOTTY): a sandbox has no devices and terminals."""
    number = file_descriptor(fd)
    sys.audit("fcntl.ioctl", number, request, arg)
    if number > 2:
        _check_open(number)
    raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


def flock(fd: Any, operation: int, /) -> None:
    """Perform the lock operation `operation` on file descriptor fd.

    While another open file of this program has the lock, raises BlockingIOError with LOCK_NB, and
    waits without. Raises OSError(EDEADLK) where it would wait for ever.
    """
    number = file_descriptor(fd)
    operation = c_int(operation)
    sys.audit("fcntl.flock", number, operation)
    status = _check_open(number)
    key = (status.st_dev, status.st_ino)
    kind = operation & ~LOCK_NB
    if kind not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    own = _open_file(number)
    if kind == LOCK_UN:
        holders = _locks.get(key, {})
        holders.pop(own, None)
        if not holders:
            _locks.pop(key, None)
        return
    if not _is_free(key, own, kind):
        if operation & LOCK_NB:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        _wait_until_free(key, own, kind)
    _locks.setdefault(key, {})[own] = kind


def _is_free(key: tuple[int, int], own: int, kind: int) -> bool:
    """Returns whether no other open file has a lock that excludes one of this kind."""
    holders = _locks.get(key, {})
    # Closing a file releases its lock.
    for closed in [each for each in holders if not _is_open(each)]:
        del holders[closed]
    return not any(
        each != own and LOCK_EX in (kind, other_kind) for each, other_kind in holders.items()
    )


def _wait_until_free(key: tuple[int, int], own: int, kind: int) -> None:
    if scheduler.threads:
        with contextlib.suppress(scheduler.DeadlockError):
            scheduler.wait("the lock of a file", lambda: _is_free(key, own, kind))
            return
    raise OSError(
        errno.EDEADLK,
        "flock: another open file of this program has the lock, and no thread would release it "
        "while this one waits; use LOCK_NB, or unlock the other one first",
    )


def lockf(fd: Any, cmd: int, len: int = 0, start: int = 0, whence: int = 0, /) -> None:
    """Lock a part of a file against other processes, of which a sandbox has none."""
    number = file_descriptor(fd)
    cmd = c_int(cmd)
    sys.audit("fcntl.lockf", number, cmd, len, start, whence)
    _check_open(number)
    if cmd & ~LOCK_NB not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise ValueError("unrecognized lockf argument")
    operator.index(len), operator.index(start)
    if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
