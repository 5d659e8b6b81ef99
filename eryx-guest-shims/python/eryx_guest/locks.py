"""Locks of an interpreter whose threads take turns.

A thread that waits for a lock of CPython would stop the interpreter: no other thread could release
it. These locks let other threads run meanwhile.
"""

import _thread
import functools
import time
from types import TracebackType
from typing import Any

import _eryx_threads

from eryx_guest import clocks
from eryx_guest.threads import scheduler
from eryx_net import interval_timers
from eryx_net.timeouts import checked_nanoseconds

_allocate = _thread.allocate_lock
_CRLock: Any = _thread.RLock


def _checked_timeout(blocking: bool, timeout: float) -> int | None:
    """Returns the timeout of `acquire` in nanoseconds. Raises the exceptions of CPython's."""
    if timeout == -1:
        return None if blocking else 0
    nanoseconds = checked_nanoseconds(timeout)
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if nanoseconds < 0:
        raise ValueError("timeout value must be a non-negative number")
    return nanoseconds


class Lock:
    """`_thread.lock`: other threads run while one waits for it."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = _allocate()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquires the lock. Raises RuntimeError where that would take for ever."""
        if timeout != -1:
            _checked_timeout(blocking, timeout)
        if self._lock.acquire(False):
            return True
        limit = _checked_timeout(blocking, timeout)
        if limit == 0:
            return False
        lock = self._lock
        deadline = None if limit is None else time.monotonic_ns() + limit
        while not scheduler.active:
            # Only the handler of a timer can release the lock, or start a thread that does.
            left = interval_timers.bounded(limit)
            if left is None:
                raise RuntimeError(
                    "deadlock: the program has started no thread that could release this lock"
                )
            clocks.sleep(left / 1e9)
            if lock.acquire(False):
                return True
            if deadline is not None:
                limit = deadline - time.monotonic_ns()
                if limit <= 0:
                    return False
        if not scheduler.wait("a lock", lambda: not lock.locked(), limit):
            return False
        return lock.acquire(False)

    def release(self) -> None:
        """Releases the lock. Raises RuntimeError for an unlocked lock."""
        self._lock.release()

    def locked(self) -> bool:
        """Returns whether the lock is held."""
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._lock.release()

    def _at_fork_reinit(self) -> None:
        self._lock = _allocate()

    def __repr__(self) -> str:
        state = "locked" if self._lock.locked() else "unlocked"
        return f"<{state} _thread.lock object at {id(self):#x}>"

    acquire_lock = acquire
    release_lock = release
    locked_lock = locked


Lock.__name__ = Lock.__qualname__ = "lock"
Lock.__module__ = "_thread"


class RLock(_CRLock):  # type: ignore[misc]
    """`_thread.RLock`. CPython's methods count, and take no notice of the owner.

    Before the first thread starts, only the main thread owns locks, and the methods are CPython's.
    """

    __slots__ = ("_owner",)


RLock.__name__ = RLock.__qualname__ = "RLock"
RLock.__module__ = "_thread"

_count = _CRLock._recursion_count
_c_acquire = _CRLock.acquire
_c_release = _CRLock.release
_get_ident = _eryx_threads.get_ident
_main_ident = _thread.get_ident()


def _is_free(lock: Any) -> bool:
    """Returns whether the calling thread can acquire a lock."""
    return not _count(lock) or getattr(lock, "_owner", _main_ident) == _get_ident()


def _acquire(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
    limit = _checked_timeout(blocking, timeout)
    if not _is_free(self):
        if limit == 0:
            return False
        if not scheduler.wait("a lock", lambda: not _count(self), limit):
            return False
    self._owner = _get_ident()
    _c_acquire(self, False)
    return True


def _release(self: Any) -> None:
    if not _is_owned(self):
        raise RuntimeError("cannot release un-acquired lock")
    _c_release(self)


def _exit(self: Any, kind: Any, error: Any, where: Any) -> None:
    _release(self)


def _is_owned(self: Any) -> bool:
    return bool(_count(self)) and _is_free(self)


def _recursion_count(self: Any) -> int:
    return int(_count(self)) if _is_free(self) else 0


def _release_save(self: Any) -> tuple[int, int]:
    if not _is_owned(self):
        raise RuntimeError("cannot release un-acquired lock")
    count = _count(self)
    for _ in range(count):
        _c_release(self)
    return count, _get_ident()


def _acquire_restore(self: Any, state: tuple[int, int]) -> None:
    _acquire(self)
    for _ in range(state[0] - 1):
        _c_acquire(self, False)


def _enter(self: Any) -> bool:
    return _acquire(self)


def _share_rlocks() -> None:
    """Gives `RLock` the methods that know several owners."""
    for name, function in (
        ("acquire", _acquire),
        ("release", _release),
        ("__enter__", _enter),
        ("__exit__", _exit),
        ("_is_owned", _is_owned),
        ("_recursion_count", _recursion_count),
    ):
        setattr(RLock, name, function)


def _make_condition(threads: Any) -> None:
    """Makes conditions with an RLock look its methods up when they need them.

    CPython's bind them when they are created, perhaps before the first thread starts.
    """
    condition = threads.Condition
    stock = condition.__init__

    def initialise(self: Any, lock: Any = None) -> None:
        stock(self, lock)
        if type(self._lock) is RLock:
            del self.acquire, self.release

    initialise.__name__, initialise.__qualname__ = stock.__name__, stock.__qualname__
    condition.__init__ = initialise

    def acquire(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
        return bool(self._lock.acquire(blocking, timeout))

    def release(self: Any) -> None:
        self._lock.release()

    condition.acquire, condition.release = acquire, release


def install() -> None:
    """Replaces CPython's locks. Call this before any module creates a lock."""
    module: Any = _thread
    module.allocate_lock = module.allocate = module.lock = module.LockType = Lock
    module.RLock = RLock
    # Used by conditions only, which bind them when they are created.
    RLock._release_save = _release_save
    RLock._acquire_restore = _acquire_restore

    import _queue
    import queue
    import threading

    threads: Any = threading
    threads.Lock = threads._allocate_lock = Lock
    threads._CRLock = RLock
    tools: Any = functools
    tools.RLock = RLock
    _make_condition(threads)
    # The C implementation waits in C code, without these locks.
    queues: Any = queue
    queues.SimpleQueue = queues._PySimpleQueue
    c_queues: Any = _queue
    c_queues.SimpleQueue = queues._PySimpleQueue
    scheduler.on_activation(_share_rlocks)
