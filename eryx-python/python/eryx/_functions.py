"""The embedder's functions: how they are described, and how a call of a program runs one.

Imported with the first sandbox that has functions.
"""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import inspect
import os
import sys
import threading
from typing import Any, Callable, Union

from ._errors import EryxError
from ._eryx import _decode_json as decode
from ._eryx import _encode_json as encode

#: The outcome of a call: the JSON of its result, or the type and the message of an exception.
Outcome = Union[str, "tuple[str, str]"]

#: The most nested executions, each in a function of the one before.
MAX_NESTING = 8

#: The owners (sandboxes and sessions) of the executions whose functions this code runs in, those
#: that provide files included.
_ancestors: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar(
    "eryx_ancestors", default=()
)


def describe(name: str, function: Callable[..., Any]) -> tuple[bool, str, str]:
    """Return whether `function` is asynchronous, its signature and its docstring."""
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        # Of an instance. A class whose instances are asynchronous makes one at once.
        getattr(type(function), "__call__", None)  # noqa: B004
    )
    documentation = inspect.getdoc(function) or ""
    if documentation == inspect.getdoc(type(function)):
        # Of a callable object without a docstring of its own.
        documentation = ""
    return is_async, _encodable(_signature(function)), _encodable(documentation)


def _encodable(text: str) -> str:
    """Return a text with surrogates, which UTF-8 cannot encode, in a readable form."""
    return text.encode("utf-8", "backslashreplace").decode()


def _signature(function: Callable[..., Any]) -> str:
    try:
        signature = _inspect_signature(function)
        parameters = [
            parameter.replace(
                annotation=_annotation(parameter.annotation), default=_default(parameter.default)
            )
            for parameter in signature.parameters.values()
        ]
        returns = _annotation(signature.return_annotation)
        return str(signature.replace(parameters=parameters, return_annotation=returns))
    # It has no signature, or code of the function or of its annotations raises something.
    except Exception:
        return "(*args, **kwargs)"


def _inspect_signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        # As text: names that are imported for type checkers alone have no value.
        text = annotationlib.Format.STRING
        return inspect.signature(function, annotation_format=text)
    return inspect.signature(function)


class _Text:
    """A text in place of an object in a signature."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _annotation(annotation: Any) -> Any:
    # Of a module with `from __future__ import annotations`. The signature would show it in quotes.
    return _Text(annotation) if isinstance(annotation, str) else annotation


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty or _is_literal(value):
        return value
    # The text of other objects has addresses and paths.
    return _Text("...")


def _is_literal(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_literal, value))
    return value is None or type(value) in (bool, int, float, str)


def enter(owner: int, is_session: bool) -> contextvars.Context:
    """Return the context for the functions that an execution that begins here calls.

    Raises EryxError if it cannot begin: a session would wait for itself, or too many executions are
    nested in each other's functions.
    """
    ancestors = _ancestors.get()
    if is_session and owner in ancestors:
        raise EryxError(
            "a function that a session called, or that provides a file to it, cannot run a program"
            " in that session, which waits for the function: use another session, or run it"
            " afterwards"
        )
    if len(ancestors) >= MAX_NESTING:
        raise EryxError(
            f"executions are nested {MAX_NESTING} levels deep in each other's functions, which is"
            " the limit: let fewer functions run sandboxes"
        )
    context = contextvars.copy_context()
    context.run(_ancestors.set, (*ancestors, owner))
    return context


def hold(owner: int) -> Callable[[], None]:
    """Let what runs on this thread find that it runs for a session, until the result is called."""
    token = _ancestors.set((*_ancestors.get(), owner))
    return lambda: _ancestors.reset(token)


def runs_for(owner: int) -> bool:
    """Return whether this code runs in a function that an execution of `owner` called."""
    return owner in _ancestors.get()


def require_no_running_loop() -> None:
    """Raise EryxError if an event loop runs on this thread."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise EryxError(
        "execute() would block the event loop of this thread, which the async functions of the"
        " sandbox may need: use `await aexecute()`"
    )


def call(function: Callable[..., Any], text: str, context: contextvars.Context) -> Outcome:
    """Call a plain function with the arguments `text` and return its outcome."""
    try:
        args, kwargs = decode(text)
        # A context can be entered once at a time.
        result = context.copy().run(function, *args, **kwargs)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("it returned a coroutine: give the sandbox the async function itself")
        return encode(result, "the result")
    except BaseException as error:
        return _exception(error)


def _exception(error: BaseException) -> tuple[str, str]:
    """Return the type and the message that the program gets for an exception."""
    kind = type(error)
    name = kind.__name__
    try:
        message = str(error)
        if isinstance(error, OSError) and error.strerror is not None:
            # `str` has the names of files.
            message = str(error.strerror)
        elif isinstance(error, KeyError) and len(error.args) == 1:
            # `str` is the representation, which the program's exception would show quoted twice.
            [key] = error.args
            message = key if isinstance(key, str) else repr(key)
    except Exception:
        message = ""
    if kind.__module__ == "builtins" and getattr(builtins, name, None) is kind:
        # The nearest type that programs have.
        names = (base.__name__ for base in kind.__mro__)
        name = next(name for name in names if name not in _NOT_OF_PROGRAMS)
    return _encodable(name), _encodable(message)


#: The built-in exceptions that cannot be made from a message, and those that CPython 3.14, which
#: runs programs, does not have.
_NOT_OF_PROGRAMS = {
    "BaseExceptionGroup",
    "ExceptionGroup",
    "ImportCycleError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "UnicodeTranslateError",
}


class AsyncCall:
    """A call of an async function on an event loop. Any thread may make and cancel it."""

    def __init__(
        self,
        loop: Any,
        function: Callable[..., Any],
        text: str,
        context: contextvars.Context,
        done: Callable[[Outcome], None],
    ) -> None:
        self._loop = loop if loop is not None else own_loop()
        self._function = function
        self._text = text
        self._done = done
        self._task: Any = None
        self._is_cancelled = False
        self._loop.call_soon_threadsafe(self._start, context=context.copy())

    def cancel(self) -> None:
        """Cancel the call, unless it has ended."""
        self._is_cancelled = True
        # RuntimeError: the loop is closed, and with it the task has ended.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def _start(self) -> None:
        if self._is_cancelled:
            return
        if sys.version_info >= (3, 12) and self._loop.get_task_factory() is None:
            import asyncio

            # It begins in this step of the loop: many functions have nothing to wait for.
            self._task = asyncio.Task(self._run(), loop=self._loop, eager_start=True)
        else:
            self._task = self._loop.create_task(self._run())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        outcome: Outcome
        try:
            args, kwargs = decode(self._text)
            outcome = encode(await self._function(*args, **kwargs), "the result")
        except BaseException as error:
            self._done(_exception(error))
            if self._is_cancelled:
                raise
        else:
            self._done(outcome)


_own_loop: tuple[int, Any, threading.Thread] | None = None
_own_loop_lock = threading.Lock()


def own_loop() -> Any:
    """Return the event loop that runs the async functions of `execute`, on a thread of its own."""
    import asyncio

    global _own_loop
    with _own_loop_lock:
        # The thread does not exist in a fork.
        if _own_loop is None or _own_loop[0] != os.getpid() or not _own_loop[2].is_alive():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=_run_loop, args=(loop,), name="eryx-functions", daemon=True
            )
            thread.start()
            _own_loop = (os.getpid(), loop, thread)
        return _own_loop[1]


def _run_loop(loop: Any) -> None:
    """Run an event loop whatever the functions on it do: those of other sandboxes need it."""
    while not loop.is_closed():
        try:
            # Returns if a function has called `loop.stop`.
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            # Of a task or callback that a function has left behind, for example.
            message = "Exception in an event loop of eryx, which continues"
            loop.call_exception_handler({"message": message, "exception": error})


def _after_fork() -> None:
    global _own_loop_lock
    _own_loop_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
