"""Executions as coroutines. Imported on the first use, since importing asyncio takes long."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable, TypeVar

from ._eryx import Execution, Session

T = TypeVar("T")


async def run(execution: Execution) -> Any:
    """Run `execution` and return its result. Cancelling the task ends the program."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def call_next() -> bool:
        """Make the next queued call. Returns whether there was one."""
        call = None if future.done() else execution.take()
        if call is None:
            return False
        callback, argument = call
        try:
            callback(argument)
        except BaseException as error:
            execution.cancel()
            if not future.done():
                future.set_exception(_awaitable_exception(error))
        return True

    def make_calls() -> None:
        if call_next():
            # One call per iteration, so that the loop's other work goes on.
            loop.call_soon(make_calls)

    def set_result(result: Any, error: BaseException | None) -> None:
        if call_next():
            # Queued calls come before the end.
            loop.call_soon(set_result, result, error)
        elif future.done():
            return
        elif result is None:
            future.set_exception(error or RuntimeError("an execution ended without a result"))
        else:
            future.set_result(result)

    def threadsafe(function: Callable[..., None]) -> Callable[..., Any]:
        return functools.partial(loop.call_soon_threadsafe, function)

    execution.start(threadsafe(make_calls), threadsafe(set_result), loop.is_closed)
    try:
        return await future
    finally:
        execution.cancel()


async def close(session: Session, execution: Execution) -> None:
    """Run `execution`, which closes `session`. Without a loop of asyncio, close it here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        session.close()
    else:
        await run(execution)


def _awaitable_exception(error: BaseException) -> BaseException:
    """Return the exception that a future can raise for the exception of a callback."""
    if isinstance(error, StopIteration):
        # Futures and coroutines cannot raise StopIteration (PEP 479).
        raised = RuntimeError(f"a callback of the sandbox raised {error!r}")
        raised.__cause__ = error
        return raised
    return error


async def completed(value: T) -> T:
    """Return `value`, for an ``await`` of an operation that is complete already."""
    return value
