"""The parts of `_signal` that WASI lacks: masks, timers, the wake-up descriptor.

No other process sends signals to a sandbox. A program gets those that it raises itself, and SIGALRM
of a timer that it starts (`eryx_net/interval_timers.py`). Installed while the image is built,
before anything imports `signal`, which takes its names from `_signal`.
"""

import _signal
import _thread
import contextlib
import operator
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any

from eryx_guest.struct_sequence import StructSequence
from eryx_guest.threads import scheduler
from eryx_net import builtin_functions, interval_timers
from eryx_net.arguments import c_int, c_long
from eryx_net.errors import os_error
from eryx_net.timeouts import checked_nanoseconds

# Linux's constants, which WASI lacks.
SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2

# The signals whose default action is to do nothing, or to stop or continue the process.
_IGNORED_BY_DEFAULT = frozenset(
    (
        _signal.SIGCHLD,
        _signal.SIGCONT,
        _signal.SIGSTOP,
        _signal.SIGTSTP,
        _signal.SIGTTIN,
        _signal.SIGTTOU,
        _signal.SIGURG,
        _signal.SIGWINCH,
    )
)

_UNBLOCKABLE = frozenset((_signal.SIGKILL, _signal.SIGSTOP))

# The functions that `signal` has from `_signal`, and that do not wait.
_BUILT_IN = frozenset(
    (
        *("raise_signal", "set_wakeup_fd", "siginterrupt", "pthread_kill"),
        *("alarm", "setitimer", "getitimer", "signal", "sigpending", "valid_signals"),
        "strsignal",
    )
)

# Those that the C library keeps to itself.
_RESERVED = (32, 33)

# Linux's names that WASI lacks.
_NAMES = {"SIGCLD": _signal.SIGCHLD, "SIGPOLL": 29, "SIGSTKFLT": 16, "SIGRTMIN": 34, "SIGRTMAX": 64}

# Linux's descriptions (glibc) where WASI has others.
_DESCRIPTIONS = {
    _signal.SIGFPE: "Floating point exception",
    _signal.SIGCHLD: "Child exited",
    **dict.fromkeys(_RESERVED),
    **{
        number: f"Real-time signal {number - _NAMES['SIGRTMIN']}"
        for number in range(_NAMES["SIGRTMIN"], _NAMES["SIGRTMAX"] + 1)
    },
}

_SIGNAL_FIELDS = ("si_signo", "si_code", "si_errno", "si_pid", "si_uid", "si_status", "si_band")

_blocked: set[int] = set()
_pending: set[int] = set()
_wakeup_fd = -1

_handler: Callable[[int], Any] = _signal.getsignal
_stock_signal: Any = _signal.signal
_stock_strsignal: Any = _signal.strsignal


def _in_range(signalnum: Any) -> int:
    number = c_int(signalnum)
    if not 1 <= number < _signal.NSIG:
        raise ValueError("signal number out of range")
    return number


def _signal_set(mask: Iterable[Any]) -> set[int]:
    """Returns the signals of a set. Warns of the numbers that are none, as CPython does."""
    numbers = set()
    for each in mask:
        number = operator.index(each)
        if not 1 <= number < _signal.NSIG:
            # What C has of a number that does not fit in a long.
            shown = number if -1 << 63 <= number < 1 << 63 else -1
            raise ValueError(f"signal number {shown} out of range [1; {_signal.NSIG - 1}]")
        if number in _RESERVED:
            message = f"invalid signal number {number}, please use valid_signals()"
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        else:
            numbers.add(number)
    return numbers


def valid_signals() -> set[int]:
    """Returns the numbers of all signals of this platform."""
    return {number for number in range(1, _signal.NSIG) if number not in _RESERVED}


def strsignal(signalnum: int, /) -> str | None:
    """Return the system description of the given signal, None for a signal without one."""
    number = _in_range(signalnum)
    if number in _DESCRIPTIONS:
        return _DESCRIPTIONS[number]
    description: str | None = _stock_strsignal(number)
    return description


def _check_main(name: str) -> None:
    if scheduler.current is not scheduler.main:
        raise ValueError(f"{name} only works in main thread of the main interpreter")


def signal(signalnum: int, handler: Any, /) -> Any:
    """Set the action for the given signal, and return the previous one.

    Raises ValueError outside of the main thread."""
    _check_main("signal")
    return _stock_signal(signalnum, handler)


def raise_signal(signalnum: int, /) -> None:
    """Sends a signal to the program: calls its handler, unless the signal is blocked.

    Without a handler, a signal whose default action ends a process raises SystemExit with the
    status that a shell reports, 128 and the number.
    """
    number = c_int(signalnum)
    if not 0 <= number < _signal.NSIG or number in _RESERVED:
        raise os_error("EINVAL")
    if number:
        deliver(number, sys._getframe(1))


def deliver(number: int, frame: FrameType | None) -> None:
    """Calls the handler of a signal in `frame`, or notes a blocked signal as pending.

    Handlers run in the main thread: during its next wait, if another one calls this.
    """
    if number in _blocked:
        _pending.add(number)
        return
    handler = _handler(number)
    if handler == _signal.SIG_IGN:
        return
    if callable(handler):
        _wake(number)
    if scheduler.current is scheduler.main:
        _handle(number, frame)
    else:
        scheduler.due_in_main.append(partial(_handle, number, None))


def _handle(number: int, frame: FrameType | None) -> None:
    handler = _handler(number)
    if callable(handler):
        handler(number, frame if frame is not None else sys._getframe(1))
    elif handler != _signal.SIG_IGN and number not in _IGNORED_BY_DEFAULT:
        raise SystemExit(128 + number)


def interrupt_main(signum: int = _signal.SIGINT, /) -> None:
    """Simulate the arrival of the given signal in the main thread, if it has a handler."""
    number = _in_range(signum)
    if callable(_handler(number)):
        deliver(number, sys._getframe(1))


def _wake(number: int) -> None:
    if _wakeup_fd != -1:
        # One that is full has woken its reader already.
        with contextlib.suppress(OSError):
            os.write(_wakeup_fd, bytes((number,)))


def set_wakeup_fd(fd: int, /, *, warn_on_full_buffer: bool = True) -> int:
    """Sets the descriptor that gets the number of each signal as a byte; returns the previous one.

    -1 stands for none.
    """
    global _wakeup_fd
    number = c_int(fd)
    _check_main("set_wakeup_fd")
    if number != -1:
        os.fstat(number)
        if os.get_blocking(number):
            raise ValueError(f"the fd {number} must be in non-blocking mode")
    previous, _wakeup_fd = _wakeup_fd, number
    return previous


def siginterrupt(signalnum: int, flag: bool, /) -> None:
    """Checks the number. Calls are always continued after a signal (PEP 475)."""
    number = _in_range(signalnum)
    if number in _UNBLOCKABLE or number in _RESERVED:
        raise os_error("EINVAL")


def pthread_sigmask(how: int, mask: Iterable[int], /) -> set[int]:
    """Changes the set of blocked signals, and returns the previous one.

    Delivers pending signals that are no longer blocked.
    """
    how = c_int(how)
    numbers = _signal_set(mask)
    previous = set(_blocked)
    match how:
        case 0:
            _blocked.update(numbers)
        case 1:
            _blocked.difference_update(numbers)
        case 2:
            _blocked.clear()
            _blocked.update(numbers)
        case _:
            raise os_error("EINVAL")
    _blocked.difference_update(_UNBLOCKABLE)
    for number in sorted(_pending - _blocked):
        _pending.discard(number)
        deliver(number, sys._getframe(1))
    return previous


def sigpending() -> set[int]:
    """Returns the signals that are blocked and were raised meanwhile."""
    return set(_pending)


class struct_siginfo(StructSequence, fields=dict.fromkeys(_SIGNAL_FIELDS)):  # noqa: N801
    """struct_siginfo: Result from sigwaitinfo or sigtimedwait."""

    __slots__ = ()


struct_siginfo.__module__ = "signal"


def sigwait(sigset: Iterable[int], /) -> int:
    """Takes a pending signal of a set. Waits for those of timers and other threads."""
    number = _take(_signal_set(sigset), None)
    assert number is not None  # There is no timeout.
    return number


def sigwaitinfo(sigset: Iterable[int], /) -> struct_siginfo:
    """Does what `sigwait` does, and returns a struct_siginfo."""
    number = _take(_signal_set(sigset), None)
    assert number is not None  # There is no timeout.
    return _information(number)


def sigtimedwait(sigset: Iterable[int], timeout: float, /) -> struct_siginfo | None:
    """Does what `sigwaitinfo` does. Returns None after `timeout` seconds."""
    numbers = _signal_set(sigset)
    nanoseconds = checked_nanoseconds(timeout)
    if nanoseconds < 0:
        raise ValueError("timeout must be non-negative")
    number = _take(numbers, nanoseconds)
    return None if number is None else _information(number)


def _information(number: int) -> struct_siginfo:
    return struct_siginfo((number, 0, 0, os.getpid(), 0, 0, 0))


def _take(numbers: set[int], timeout: int | None) -> int | None:
    """Takes a pending signal of a set, or waits for one up to `timeout` nanoseconds."""
    end = None if timeout is None else time.monotonic_ns() + timeout
    while True:
        for number in sorted(numbers & _pending):
            _pending.discard(number)
            return number
        left = None if end is None else end - time.monotonic_ns()
        if left is not None and left <= 0:
            return None
        if scheduler.threads:
            with contextlib.suppress(scheduler.DeadlockError):
                scheduler.wait("a signal", lambda: not numbers.isdisjoint(_pending), left)
                continue
        elif left is not None or _signal.SIGALRM in numbers & _blocked:
            bounded = interval_timers.bounded(left)
            if bounded is not None:
                interval_timers.sleep(bounded / 1e9)
                continue
        raise os_error(
            "EDEADLK",
            "waiting would never end: no signal of the set can arrive while this program waits",
        )


def pause() -> None:
    """Waits for the signal of a timer, and calls its handler."""
    if not interval_timers.wait():
        raise os_error(
            "EDEADLK",
            "waiting would never end: no timer is running, and a sandbox gets no other signals",
        )


def pthread_kill(thread_id: int, signalnum: int, /) -> None:
    """Sends a signal to the program: the main thread calls its handler."""
    thread_id, number = c_long(thread_id), c_int(signalnum)
    sys.audit("signal.pthread_kill", thread_id, number)
    raise_signal(number)


def install() -> None:
    """Adds the functions to `_signal`."""
    interval_timers.deliver = deliver
    module: Any = _signal
    for function in (
        signal,
        valid_signals,
        strsignal,
        raise_signal,
        set_wakeup_fd,
        siginterrupt,
        pthread_sigmask,
        sigpending,
        sigwait,
        sigwaitinfo,
        sigtimedwait,
        pause,
        pthread_kill,
        interval_timers.alarm,
        interval_timers.setitimer,
        interval_timers.getitimer,
    ):
        function.__module__ = "_signal"
        # `signal` has functions of its own for some of the others, and the rest waits.
        built_in = function.__name__ in _BUILT_IN
        value = builtin_functions.built_in(function) if built_in else function
        setattr(module, function.__name__, value)
    interrupt_main.__module__ = _thread.__name__
    _thread.interrupt_main = builtin_functions.built_in(interrupt_main)
    for name, number in _NAMES.items():
        setattr(module, name, number)
    for name in ("SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK"):
        setattr(module, name, globals()[name])
    for number, name in enumerate(("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")):
        setattr(module, name, number)
    module.ItimerError = interval_timers.ItimerError
    module.struct_siginfo = struct_siginfo
