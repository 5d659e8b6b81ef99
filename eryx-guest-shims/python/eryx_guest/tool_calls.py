"""Calls of the functions of the embedder: arguments, results, exceptions, and waiting."""

import asyncio
import builtins
import warnings
from collections.abc import Generator
from typing import Any

from eryx_guest import json_values
from eryx_net import descriptors
from eryx_net.call_descriptor import Call
from eryx_net.event_loop import wait_readable
from eryx_net.host import NON_BLOCKING, HostCall, interfaces

# The exceptions that do not arrive with their own type: those that are not made from one text, and
# those that would end the iteration whose code makes the call, as if nothing had failed.
_OTHER_EXCEPTIONS = (
    ExceptionGroup,
    StopAsyncIteration,
    StopIteration,
    UnicodeDecodeError,
    UnicodeEncodeError,
    UnicodeTranslateError,
)

# The exceptions that arrive with their own type, by its name. None of them ends the program as
# SystemExit does.
_BUILTIN_EXCEPTIONS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, Exception) and kind not in _OTHER_EXCEPTIONS
}


class Error(Exception):
    """An exception of an embedder's function whose type programs do not have.

    Attributes:
        type: the name of the type.
        message: its message.
    """

    def __init__(self, type: str, message: str) -> None:
        super().__init__(type, message)
        self.type = type
        self.message = message

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class LimitError(Exception):
    """A limit on the calls of the embedder's functions is reached."""


def invoke(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Makes a call of the function `name`, and returns the result or raises the exception.

    Raises TypeError or ValueError for arguments that have no form in JSON.
    """
    arguments = _arguments(name, args, kwargs)
    try:
        data = interfaces().functions.invoke(name, arguments)
    except interfaces().Err as error:
        exception = _exception(error)
    else:
        return json_values.decode(data)
    raise exception


def begin(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> HostCall:
    """Begins a call of the function `name`.

    Raises TypeError or ValueError for arguments that have no form in JSON.
    """
    arguments = _arguments(name, args, kwargs)
    functions = interfaces().functions
    call: HostCall
    try:
        call = functions.Call.start(name, arguments)
    except interfaces().Err as error:
        exception = _exception(error)
    else:
        return call
    raise exception


def _arguments(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Returns the arguments of a call for the host, which checks their size."""
    try:
        return json_values.encode_call(args, kwargs, name)
    except json_values.TooLargeError:
        # The host refuses and counts the call, and its message names the limit. It looks at the
        # size first, so the call need not pass what the program gave.
        return bytes(json_values.MAX_BYTES + 1)


async def async_result(call: HostCall) -> Any:
    """Waits for the end of a call while other tasks run. Cancelling the task cancels the call."""
    description = Call(call)
    fd = descriptors.allocate(description)
    try:
        while True:
            try:
                return _take(call)
            except _Pending:
                await wait_readable(asyncio.get_running_loop(), fd)
    finally:
        descriptors.close(fd)


class StartedCall:
    """A call that has begun: an awaitable for its result, once."""

    def __init__(self, name: str, call: HostCall) -> None:
        self._name = name
        self._call: HostCall | None = call

    def __await__(self) -> Generator[Any, None, Any]:
        call = self._call
        if call is None:
            raise RuntimeError(f"the call of {self._name} was already awaited or cancelled")
        self._call = None
        return async_result(call).__await__()

    def cancel(self) -> bool:
        """Cancel the call, unless it was awaited. Returns whether this cancelled it."""
        call = self._call
        self._call = None
        if call is None:
            return False
        call.__exit__(None, None, None)
        return True

    def __del__(self) -> None:
        if self.cancel():
            warnings.warn(
                f"the call of {self._name} was never awaited",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        return f"<call of {self._name}>"


class _Pending(BaseException):
    """The call has not ended."""


def _take(call: HostCall) -> Any:
    try:
        data = call.finish(NON_BLOCKING)
    except interfaces().Err as error:
        exception = _exception(error)
    else:
        return json_values.decode(data)
    raise exception


def _exception(error: Any) -> BaseException:
    """Returns the exception for an error of the bindings. Raise it outside of the `except` block.

    See `eryx_net.host.to_exception` for the reason.
    """
    failure = error.value
    error.with_traceback(None)
    if isinstance(failure, interfaces().functions.Failure_WouldBlock):
        return _Pending()
    name, message = failure.value.exception_type, failure.value.message
    if kind := _BUILTIN_EXCEPTIONS.get(name):
        return kind(message)
    if name == "tools.LimitError":
        return LimitError(message)
    return Error(name, message)
