"""Limits and usage of the process, by the limits that the embedder sets for the sandbox."""

import errno
import os
import sys
import time
from typing import Any

from eryx_guest import os_functions
from eryx_guest.refusal import denied
from eryx_guest.struct_sequence import StructSequence
from eryx_net.arguments import c_int, c_long

error = OSError

RLIM_INFINITY = -1
RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD = 0, -1, 1
RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS = range(6)
RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS = range(6, 11)
RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME = range(11, 16)
_LIMITS = 16

# What a sandbox cannot have more of, besides open files.
_PROCESSES = 1

_PAGE = 65536

_FIELDS = (
    "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap "
    "ru_inblock ru_oublock ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw"
).split()


class struct_rusage(StructSequence, fields=dict.fromkeys(_FIELDS)):
    """struct_rusage: Result from getrusage."""

    __slots__ = ()


def getrusage(who: int, /) -> struct_rusage:
    """Return the time that the sandbox has run. Its use of memory is only known to the embedder."""
    who = c_int(who)
    if who not in (RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD):
        raise ValueError("invalid who parameter")
    used = 0.0 if who == RUSAGE_CHILDREN else time.process_time()
    memory = 0 if who == RUSAGE_CHILDREN else os_functions.memory_bytes() // 1024
    return struct_rusage((used, 0.0, memory, *(0 for _ in _FIELDS[3:])))


def _checked(resource: Any) -> int:
    number = c_int(resource)
    if not 0 <= number < _LIMITS:
        raise ValueError("invalid resource specified")
    return number


def getrlimit(resource: int, /) -> tuple[int, int]:
    """Return a tuple (soft, hard) with the limits of a resource."""
    resource = _checked(resource)
    if resource in _limits:
        return _limits[resource]
    if resource in (RLIMIT_AS, RLIMIT_DATA):
        most = os_functions.capacity().memory_bytes
    elif resource == RLIMIT_FSIZE:
        most = os_functions.capacity().file_bytes
    else:
        most = _FIXED.get(resource, RLIM_INFINITY)
    return (most, most)


_FIXED = {
    RLIMIT_CORE: 0,
    RLIMIT_NPROC: _PROCESSES,
    RLIMIT_NOFILE: os_functions.OPEN_FILES,
    RLIMIT_MEMLOCK: 0,
    RLIMIT_MSGQUEUE: 0,
    RLIMIT_NICE: 0,
    RLIMIT_RTPRIO: 0,
}

# Limits of things that a sandbox does not have, which a program may set.
_limits: dict[int, tuple[int, int]] = {}
_WITHOUT_EFFECT = {RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_LOCKS, RLIMIT_MSGQUEUE, RLIMIT_SIGPENDING}


def setrlimit(resource: int, limits: Any, /) -> None:
    """Set limits of a resource. A sandbox enforces those of its embedder, and no others."""
    resource = c_int(resource)
    sys.audit("resource.setrlimit", resource, limits)
    _set_limits(_checked(resource), limits)


def _set_limits(resource: int, limits: Any) -> None:
    given = tuple(limits)
    if len(given) != 2:
        raise ValueError("expected a tuple of 2 integers")
    soft, hard = (_limit(each) for each in given)
    old_soft, old_hard = getrlimit(resource)
    if _is_above(soft, hard):
        raise ValueError("current limit exceeds maximum limit")
    if _is_above(hard, old_hard):
        raise ValueError("not allowed to raise maximum limit")
    if (soft, hard) == (old_soft, old_hard):
        return
    if resource not in _WITHOUT_EFFECT:
        raise denied(
            "resource.setrlimit",
            "a sandbox has the limits that its embedder sets (`ResourceLimits`); a program cannot "
            "change them",
        )
    _limits[resource] = (soft, hard)


def _limit(value: Any) -> int:
    """Returns a limit. Those of Linux are unsigned, and the largest is infinity."""
    number = c_long(value)
    return number if number >= RLIM_INFINITY else number + (1 << 64)


def _is_above(limit: int, other: int) -> bool:
    if other == RLIM_INFINITY:
        return False
    return limit == RLIM_INFINITY or limit > other


def prlimit(pid: int, resource: int, limits: Any = None, /) -> tuple[int, int]:
    """Return the limits of this process, and set new ones as `setrlimit` does."""
    pid, resource = c_int(pid), c_int(resource)
    sys.audit("resource.prlimit", pid, resource, limits)
    resource = _checked(resource)
    if pid not in (0, os.getpid()):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    old = getrlimit(resource)
    if limits is not None:
        _set_limits(resource, limits)
    return old


def getpagesize() -> int:
    """Return the size of a page of memory in bytes: that of WebAssembly."""
    return _PAGE
