"""Semaphores of `multiprocessing`, in the only process of a sandbox."""

import errno
import threading
import time
from typing import Any

RECURSIVE_MUTEX, SEMAPHORE = 0, 1

flags = {"HAVE_SEM_OPEN": 1, "HAVE_SEM_TIMEDWAIT": 1}


class SemLock:
    """Semaphore/Mutex type."""

    SEM_VALUE_MAX = 2147483647

    _handles = 0

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        if kind not in (RECURSIVE_MUTEX, SEMAPHORE):
            raise ValueError("unrecognized kind")
        self.kind = kind
        self.maxvalue = maxvalue
        self.name = None if unlink else name
        SemLock._handles += 1
        self.handle = SemLock._handles
        self._value = value
        self._held = 0
        self._owner: int | None = None
        self._released = threading.Condition(threading.Lock())

    @classmethod
    def _rebuild(cls, handle: int, kind: int, maxvalue: int, name: str) -> "SemLock":
        raise PermissionError(errno.EPERM, "a semaphore cannot be passed to another process")

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Acquire the semaphore/lock."""
        if self.kind == RECURSIVE_MUTEX and self._is_mine():
            self._held += 1
            return True
        deadline = None if timeout is None else time.monotonic() + max(timeout, 0)
        with self._released:
            while self._value == 0:
                if not block:
                    return False
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or not self._released.wait(left):
                    return False
            self._value -= 1
        self._held += 1
        self._owner = threading.get_ident()
        return True

    def release(self) -> None:
        """Release the semaphore/lock."""
        if self.kind == RECURSIVE_MUTEX:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._held > 1:
                self._held -= 1
                return
        elif self._value >= self.maxvalue:
            raise ValueError("semaphore or lock released too many times")
        with self._released:
            self._held -= 1
            self._value += 1
            self._released.notify()

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._owner == threading.get_ident()

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        self._held = 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: Any) -> None:
        self.release()


def sem_unlink(name: str, /) -> None:
    """Removes a name: semaphores of a sandbox have none."""
