"""The functions of `os` for processes: a sandbox has one, which has no children."""

import errno
import operator
import os
import signal
import sys
from typing import Any, NoReturn

from eryx_guest.refusal import NO_PROCESSES, denied, refusing

# The parent of the process, as seen by a container's first program.
_PARENT = 1

# Process IDs of Linux: those below are of the system, and PID_MAX_LIMIT is above.
_FIRST_ID = 300
_LAST_ID = 4_194_303

# `None` until a program asks for it. Each sandbox and each copy of a session has its own: libraries
# that compare it with an earlier one then make new random state and connections, as after a fork.
_id: int | None = None

_urandom = os.urandom

WNOHANG, WUNTRACED, WCONTINUED = 1, 2, 8
WEXITED, WSTOPPED, WNOWAIT = 4, 2, 0x01000000
P_ALL, P_PID, P_PGID, P_PIDFD = 0, 1, 2, 3
P_WAIT, P_NOWAIT, P_NOWAITO = 0, 1, 1
CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = range(1, 7)
PRIO_PROCESS, PRIO_PGRP, PRIO_USER = 0, 1, 2

CONSTANTS = tuple(name for name in list(globals()) if name.isupper() and name[0] in "WPC")


def forget_id() -> None:
    """Makes the process ID of this interpreter a new one: it continues as another sandbox."""
    global _id
    _id = None


def getpid() -> int:
    """Return the current process id."""
    global _id
    if _id is None:
        _id = _FIRST_ID + int.from_bytes(_urandom(4)) % (_LAST_ID - _FIRST_ID)
    return _id


def getppid() -> int:
    """Return the parent's process id: 1, which is not part of the sandbox."""
    return _PARENT


def getpgrp() -> int:
    """Return the current process group id."""
    return getpid()


def getpgid(pid: int) -> int:
    """Return the process group id of a process."""
    _find(pid)
    return getpid()


def getsid(pid: int, /) -> int:
    """Return the session id of a process."""
    _find(pid)
    return getpid()


def _find(pid: int) -> None:
    """Raises ProcessLookupError for a process that does not exist."""
    if operator.index(pid) not in (0, getpid()):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))


def kill(pid: int, signal_number: int, /) -> None:
    """Send a signal to this process, the only one of a sandbox."""
    pid = operator.index(pid)
    number = operator.index(signal_number)
    sys.audit("os.kill", pid, number)
    _kill(pid, number)


def _kill(pid: int, number: int) -> None:
    if pid == _PARENT:
        raise denied("os.kill", "process 1 is not part of the sandbox")
    if pid not in (0, -1, getpid(), -getpid()):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    if number:
        signal.raise_signal(number)


def killpg(pgid: int, signal_number: int, /) -> None:
    """Send a signal to this process, the only one of its group."""
    pgid, number = operator.index(pgid), operator.index(signal_number)
    sys.audit("os.killpg", pgid, number)
    _kill(-pgid, number)


def _no_child(*args: Any) -> NoReturn:
    raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD))


def wait() -> tuple[int, int]:
    """Raises ChildProcessError: the process has no children."""
    _no_child()


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    """Raises ChildProcessError: the process has no children."""
    _no_child(operator.index(pid), operator.index(options))


def wait3(options: int) -> tuple[int, int, Any]:
    """Raises ChildProcessError: the process has no children."""
    _no_child(operator.index(options))


def wait4(pid: int, options: int) -> tuple[int, int, Any]:
    """Raises ChildProcessError: the process has no children."""
    _no_child(operator.index(pid), operator.index(options))


def waitid(idtype: int, id: int, options: int, /) -> Any:
    """Raises ChildProcessError: the process has no children."""
    _no_child(operator.index(idtype), operator.index(id), operator.index(options))


# The status words of `waitpid` have the layout of Linux.


def WIFEXITED(status: int) -> bool:  # noqa: N802
    """Return True if the process returning status exited via the exit() system call."""
    return operator.index(status) & 0x7F == 0


def WEXITSTATUS(status: int) -> int:  # noqa: N802
    """Return the process return code from status."""
    return operator.index(status) >> 8 & 0xFF


def WIFSIGNALED(status: int) -> bool:  # noqa: N802
    """Return True if the process returning status was terminated by a signal."""
    return operator.index(status) & 0x7F not in (0, 0x7F)


def WTERMSIG(status: int) -> int:  # noqa: N802
    """Return the signal that terminated the process that provided the status value."""
    return operator.index(status) & 0x7F


def WIFSTOPPED(status: int) -> bool:  # noqa: N802
    """Return True if the process returning status was stopped."""
    return operator.index(status) & 0xFF == 0x7F


def WSTOPSIG(status: int) -> int:  # noqa: N802
    """Return the signal that stopped the process that provided the status value."""
    return WEXITSTATUS(status)


def WIFCONTINUED(status: int) -> bool:  # noqa: N802
    """Return True if a particular process was continued from a job control stop."""
    return operator.index(status) == 0xFFFF


def WCOREDUMP(status: int, /) -> bool:  # noqa: N802
    """Return True if the process returning status was dumped to a core file."""
    return bool(operator.index(status) & 0x80)


def waitstatus_to_exitcode(status: int) -> int:
    """Convert a wait status to an exit code."""
    if WIFEXITED(status):
        return WEXITSTATUS(status)
    if WIFSIGNALED(status):
        return -WTERMSIG(status)
    kind = "process stopped by delivery of signal" if WIFSTOPPED(status) else "invalid wait status:"
    raise ValueError(f"{kind} {WSTOPSIG(status) if WIFSTOPPED(status) else status}")


def sched_getaffinity(pid: int, /) -> set[int]:
    """Return the set of processors that a process may run on: the only one of a sandbox."""
    _find(pid)
    return {0}


def sched_setaffinity(pid: int, mask: Any, /) -> None:
    """Accepts any set with processor 0, the only one of a sandbox."""
    _find(pid)
    if 0 not in {operator.index(each) for each in mask}:
        raise OSError(errno.EINVAL, "a sandbox has one processor, number 0")


_niceness = 0


def nice(increment: int, /) -> int:
    """Add increment to the priority of process and return the new priority.

    The embedder decides when a sandbox runs: the priority is only a number.
    """
    global _niceness
    increment = operator.index(increment)
    if increment < 0:
        raise denied("os.nice", "a sandbox cannot raise its priority; leave the priority as it is")
    _niceness = min(19, _niceness + increment)
    return _niceness


def getpriority(which: int, who: int) -> int:
    """Return program scheduling priority."""
    if which == PRIO_PROCESS:
        _find(who)
    return _niceness


def setpriority(which: int, who: int, priority: int) -> None:
    """Set program scheduling priority."""
    nice(operator.index(priority) - getpriority(which, who))


def getloadavg() -> tuple[float, float, float]:
    """Raises OSError: the load of the machine is not shown to a sandbox."""
    raise OSError(errno.ENOSYS, "os.getloadavg: a sandbox does not see the load of the machine")


# `fork`, `forkpty` and `posix_spawn` are not among them, and do not exist: libraries test for these
# and do without processes.
_REFUSED = (
    *("execv", "execve", "fexecve", "popen"),
    *("spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe"),
)
_REFUSED_GROUPS = ("setpgid", "setpgrp", "setsid")

FUNCTIONS = (
    *(getpid, getppid, getpgrp, getpgid, getsid, kill, killpg),
    *(wait, waitpid, wait3, wait4, waitid, waitstatus_to_exitcode),
    *(WIFEXITED, WEXITSTATUS, WIFSIGNALED, WTERMSIG, WIFSTOPPED, WSTOPSIG, WIFCONTINUED, WCOREDUMP),
    *(sched_getaffinity, sched_setaffinity, nice, getpriority, setpriority, getloadavg),
    refusing("os.system", NO_PROCESSES, audited=True),
    *(refusing(f"os.{name}", NO_PROCESSES) for name in _REFUSED),
    *(
        refusing(f"os.{name}", "the process leads its group and session")
        for name in _REFUSED_GROUPS
    ),
)
"""What `os` gets from this module."""
