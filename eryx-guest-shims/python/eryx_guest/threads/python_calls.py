"""Calls that C code of CPython makes for a program, made by Python code instead.

A thread that waits below C code cannot be set aside. These calls are below most functions that run
in threads: `Context.run`, and methods, `functools.partial` and objects with a method `__call__` as
functions of a thread or executor.
"""

from __future__ import annotations

import contextvars
import functools
import types
from collections.abc import Callable
from typing import Any

import _eryx_threads

from eryx_guest.threads import scheduler

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_stock_run = contextvars.Context.run


def _run_in_context(
    self: contextvars.Context, callable: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Run the callable in this context."""
    callable, args, kwargs = unwrap(callable, args, kwargs)
    _eryx_threads.enter_context(self)
    try:
        return callable(*args, **kwargs)
    finally:
        _eryx_threads.exit_context(self)


_run_in_context.__name__ = "run"
_run_in_context.__qualname__ = "Context.run"


def unwrap(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Returns the call that a call of `function` makes, without objects of C code between."""
    while type(function) is functools.partial and not _has_placeholder(function):
        args = (*function.args, *args)
        kwargs = {**function.keywords, **kwargs}
        function = function.func
    if type(function) is types.MethodType and type(function.__func__) is types.FunctionType:
        # C code calls a method with `*args`, and only a function is called without it.
        return function.__func__, (function.__self__, *args), kwargs
    method = _call_method(type(function))
    if method is not None:
        return method, (function, *args), kwargs
    if (
        type(function) is types.BuiltinMethodType
        and type(function.__self__) is contextvars.Context
        and function.__name__ == "run"
    ):
        # Looked up before the first thread started.
        args = (function.__self__, *args)
        function = _run_in_context
    return function, args, kwargs


def _call_method(cls: type) -> types.FunctionType | None:
    """Returns the method `__call__` of the objects of a class, if it is a function in Python."""
    for base in cls.__mro__:
        if "__call__" in base.__dict__:
            method = base.__dict__["__call__"]
            return method if type(method) is types.FunctionType else None
    return None


def _has_placeholder(partial: functools.partial[Any]) -> bool:
    placeholder = functools.Placeholder  # type: ignore[attr-defined]
    return any(each is placeholder for each in partial.args)


def _run_work_item(self: Any, task: Call) -> Any:
    """Runs a function of an executor."""
    function, args, kwargs = unwrap(*task)
    try:
        return function(*args, **kwargs)
    finally:
        scheduler.give_way_to_held()


def _replace() -> None:
    _eryx_threads.replace(contextvars.Context, "run", _run_in_context)
    from concurrent.futures import thread

    workers: Any = thread.WorkerContext  # type: ignore[attr-defined]
    workers.run = _run_work_item


def install() -> None:
    """Replaces the calls when the first thread starts."""
    scheduler.on_activation(_replace)
