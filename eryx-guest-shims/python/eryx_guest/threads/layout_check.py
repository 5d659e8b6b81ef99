"""A check that `threads.wat` knows the memory of this CPython, for the build of the image."""

import contextvars
import sys
import threading
from typing import Any

import _eryx_threads

from eryx_guest.threads import scheduler

_variable: contextvars.ContextVar[str] = contextvars.ContextVar("_variable", default="unset")


def check() -> None:
    """Lets two threads take turns in the middle of calls and exceptions.

    Raises RuntimeError if one sees the state of another, or of the caller.
    """
    local = threading.local()
    seen: list[Any] = []

    def turn(name: str, depth: int) -> int:
        if depth:
            return 1 + turn(name, depth - 1)
        seen.append((name, sys.exception(), _variable.get(), hasattr(local, "name")))
        local.name = name
        _variable.set(name)
        try:
            raise ValueError(name)
        except ValueError:
            scheduler._suspend(_eryx_threads.get_ident())
            seen.append((name, str(sys.exception()), _variable.get(), local.name))
        return 0

    def body() -> None:
        name = f"thread {_eryx_threads.get_ident()}"
        seen.append((name, turn(name, 40), sys.exception()))

    _variable.set("caller")
    limit = sys.getrecursionlimit()
    threads = [
        scheduler.GuestThread(_eryx_threads.new(contextvars.Context()), body, True, str)
        for _ in range(2)
    ]
    expected: list[Any] = []
    names = [f"thread {thread.ident}" for thread in threads]
    expected += [(name, None, "unset", False) for name in names]
    for name in names:
        expected += [(name, name, name, name), (name, 40, None)]
    try:
        raise KeyError("caller")
    except KeyError as error:
        suspended = [scheduler._run(thread) for thread in threads]
        if all(suspended):
            suspended += [scheduler._run(thread) for thread in threads]
        if sys.exception() is not error:
            suspended.clear()
    for thread in threads:
        _eryx_threads.free(thread.ident)
    if (
        suspended != [True, True, None, None]
        or seen != expected
        or (_variable.get(), hasattr(local, "name")) != ("caller", False)
        or sys.getrecursionlimit() != limit
    ):
        raise RuntimeError(f"threads.wat does not match this CPython: {suspended} {seen}")
