"""Locks for an interpreter without threads.

No other thread can release a held lock. CPython's lock would not wait for its timeout, and without
a timeout would abort the interpreter.
"""

import _thread
import time
from types import TracebackType
from typing import Any

_allocate = _thread.allocate_lock


class Lock:
    """`_thread.lock`: acquiring a held lock takes its whole timeout, or is a deadlock."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = _allocate()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquires the lock. Raises RuntimeError where that would take for ever."""
        if timeout != -1:
            if not blocking:
                raise ValueError("can't specify a timeout for a non-blocking call")
            if timeout < 0:
                raise ValueError("timeout value must be a non-negative number")
            if timeout > _thread.TIMEOUT_MAX:
                raise OverflowError("timeout value is too large")
        if self._lock.acquire(False):
            return True
        if not blocking:
            return False
        if timeout == -1:
            raise RuntimeError(
                "deadlock: a sandbox has no threads, so no other thread can release this lock"
            )
        time.sleep(timeout)
        return False

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


def install() -> None:
    """Replaces CPython's locks. Call this before any module creates a lock."""
    module: Any = _thread
    module.allocate_lock = module.allocate = module.lock = module.LockType = Lock

    import queue
    import threading

    threads: Any = threading
    threads.Lock = threads._allocate_lock = Lock
    # The C implementation waits in C code, without these locks.
    queues: Any = queue
    queues.SimpleQueue = queues._PySimpleQueue
