"""The functions of `_thread` that start threads, and `threading` on top of them."""

from __future__ import annotations

import _thread
import contextvars
import reprlib
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import _eryx_threads

from eryx_guest.threads import python_calls, scheduler
from eryx_net.builtin_functions import built_in
from eryx_net.timeouts import checked_nanoseconds

get_ident: Callable[[], int] = _eryx_threads.get_ident


class ThreadHandle:
    """`_thread._ThreadHandle`: whether a thread has ended."""

    __slots__ = ("__weakref__", "_done", "_name", "ident")

    def __init__(self) -> None:
        self.ident = 0
        self._done = False
        self._name = "a thread"

    def __repr__(self) -> str:
        return f"<_ThreadHandle object: ident={self.ident}>"

    def is_done(self) -> bool:
        """Returns whether the thread has ended."""
        return self._done

    def _set_done(self) -> None:
        if self.ident == 0:
            raise RuntimeError("thread not started")
        self._done = True

    def join(self, timeout: float | None = None, /) -> None:
        """Waits until the thread has ended, or for `timeout` seconds."""
        limit = None if timeout is None else checked_nanoseconds(timeout)
        if limit is not None and limit < 0:
            limit = None
        if self._done:
            return
        if self.ident == 0:
            raise RuntimeError("thread not started")
        if self.ident == get_ident():
            raise RuntimeError("Cannot join current thread")
        scheduler.wait(f"the end of {self._name}", self.is_done, limit)


ThreadHandle.__name__ = ThreadHandle.__qualname__ = "_ThreadHandle"
ThreadHandle.__module__ = "_thread"


def make_thread_handle(ident: int, /) -> ThreadHandle:
    """Returns the handle of a thread that `threading` did not start."""
    handle = ThreadHandle()
    handle.ident = ident
    return handle


def start_joinable_thread(
    function: Callable[[], Any], handle: ThreadHandle | None = None, daemon: bool = True
) -> ThreadHandle:
    """Starts a thread, which runs when another one waits."""
    if not callable(function):
        raise TypeError("thread function must be callable")
    sys.audit("_thread.start_joinable_thread", function, daemon, handle)
    if handle is None:
        handle = ThreadHandle()
    elif handle.ident:
        raise RuntimeError("thread already started")
    owner: Any = getattr(function, "__self__", None)
    context = getattr(owner, "_context", None)
    if not isinstance(context, contextvars.Context):
        context = contextvars.Context()
    ending = handle

    def body() -> None:
        try:
            function()
        except SystemExit:
            pass
        except BaseException as error:
            _report(error, function)
        ending._set_done()

    def name() -> str:
        return str(owner.name) if isinstance(owner, threading.Thread) else f"thread {ending.ident}"

    thread = scheduler.start(body, context, daemon, name)
    handle.ident = thread.ident
    if isinstance(owner, threading.Thread):
        handle._name = owner.name
        # `start` does not wait for it.
        owner._ident = owner._native_id = thread.ident  # type: ignore[attr-defined]
        owner._started.set()  # type: ignore[attr-defined]
    return handle


def start_new_thread(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
) -> int:
    """Starts a thread, which runs when another one waits. Returns its number."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")
    sys.audit("_thread.start_new_thread", function, args, kwargs)
    call, arguments, keywords = python_calls.unwrap(function, args, kwargs or {})

    def body() -> None:
        try:
            call(*arguments, **keywords)
        except SystemExit:
            pass
        except BaseException as error:
            _report(error, function)

    thread = scheduler.start(body, contextvars.Context(), True, lambda: f"thread {ident}")
    ident = thread.ident
    return ident


def _report(error: BaseException, function: Any) -> None:
    """Reports an exception that ends a thread of `_thread`, as CPython does."""
    message = f"Exception ignored in thread started by {function!r}"
    try:
        arguments = _unraisable_type()((type(error), error, error.__traceback__, message, None))
        sys.unraisablehook(arguments)
    except BaseException:
        return


def _unraisable_type() -> Any:
    """Returns the type of the arguments of `sys.unraisablehook`, which has no name in CPython."""
    seen: list[Any] = []
    hook = sys.unraisablehook
    sys.unraisablehook = seen.append
    try:
        _RaisesWhenDeleted()
    finally:
        sys.unraisablehook = hook
    return type(seen[0])


class _RaisesWhenDeleted:
    def __del__(self) -> None:
        raise RuntimeError


def _bootstrap_inner(self: Any) -> None:
    """Runs a `threading.Thread`. Its context is the one of its stack."""
    module: Any = threading
    try:
        with module._active_limbo_lock:
            module._active[get_ident()] = self
            module._limbo.pop(self, None)
        if module._trace_hook:
            sys.settrace(module._trace_hook)
        if module._profile_hook:
            sys.setprofile(module._profile_hook)
        if self._target is not None:
            self._target, self._args, self._kwargs = python_calls.unwrap(
                self._target, tuple(self._args), self._kwargs
            )
        try:
            self.run()
        except BaseException:
            self._invoke_excepthook(self)
    finally:
        self._delete()


_stock_is_alive = threading.Thread.is_alive


def _is_alive(self: threading.Thread) -> bool:
    alive = _stock_is_alive(self)
    if alive and scheduler.active and self is not threading.current_thread():
        # A program that asks again and again gives the thread its turns.
        scheduler.give_way()
        return _stock_is_alive(self)
    return alive


_is_alive.__name__ = "is_alive"
_is_alive.__qualname__ = "Thread.is_alive"
_is_alive.__doc__ = _stock_is_alive.__doc__


def _native_id(self: Any) -> int | None:
    """Native integral thread ID of this thread, or None if it has not been started."""
    number: int | None = self._native_id if hasattr(self, "_native_id") else self._ident
    return number


def _current_frames() -> dict[int, FrameType]:
    """Return a dict mapping each thread's thread id to its current stack frame.

    It has the calling thread, and those that it runs on top of. The others are set aside, without
    frames that Python code can read.
    """
    sys.audit("sys._current_frames")
    caller = sys._getframe(1)
    frames = {get_ident(): caller}
    frame: FrameType | None = caller
    while frame is not None:
        if frame.f_code is scheduler._run_others.__code__:
            thread = frame.f_locals["thread"]
            # The frame above `scheduler.wait`.
            assert frame.f_back is not None
            assert frame.f_back.f_back is not None
            is_main = thread is scheduler.main
            ident: Any = threading.main_thread().ident if is_main else thread.ident
            frames[ident] = frame = frame.f_back.f_back
        else:
            frame = frame.f_back
    return frames


_current_frames.__module__ = sys.__name__


def install() -> None:
    """Replaces the functions of `_thread` and `threading`."""
    sys._current_frames = _current_frames
    low: Any = _thread
    get_ident.__module__ = _thread.__name__
    high: Any = threading
    for function in (start_new_thread, start_joinable_thread):
        function.__module__ = _thread.__name__
    start, start_joinable = built_in(start_new_thread), built_in(start_joinable_thread)
    for name, item in (
        ("get_ident", get_ident),
        ("get_native_id", get_ident),
        ("start_new_thread", start),
        ("start_new", start),
        ("start_joinable_thread", start_joinable),
        ("_ThreadHandle", ThreadHandle),
        ("_make_thread_handle", make_thread_handle),
        ("_shutdown", scheduler.run_to_end),
        ("_count", lambda: len(scheduler.threads)),
    ):
        setattr(low, name, item)
    # Both have it from `_thread` since before.
    repr_module: Any = reprlib
    high.get_ident = repr_module.get_ident = get_ident
    high.__all__.append("get_native_id")
    high.get_native_id = get_ident
    high._start_new_thread = start
    high._start_joinable_thread = start_joinable
    high._ThreadHandle = ThreadHandle
    high._make_thread_handle = make_thread_handle
    high._thread_shutdown = scheduler.run_to_end
    high.Thread._bootstrap_inner = _bootstrap_inner
    high.Thread.is_alive = _is_alive
    high.Thread.native_id = property(_native_id)
    main: Any = threading.main_thread()
    main._ident = get_ident()
    high._active.clear()
    high._active[main._ident] = main
    main._handle = make_thread_handle(main._ident)
