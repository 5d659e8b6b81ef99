"""Executions as coroutines. Imported when the first one is made, since asyncio takes its time."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable, TypeVar

from ._eryx import ExecuteResult, Execution

T = TypeVar("T")


async def run(execution: Execution) -> ExecuteResult:
    """Run `execution` and return its result. Cancelled, it ends the program."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[ExecuteResult] = loop.create_future()

    def hand_on() -> bool:
        """Make the first call that waits. Returns whether there was one."""
        call = None if ended.done() else execution.take()
        if call is None:
            return False
        callback, argument = call
        try:
            callback(argument)
        except BaseException as error:
            execution.cancel()
            if not ended.done():
                ended.set_exception(_outcome(error))
        return True

    def deliver() -> None:
        if hand_on():
            # The loop's other work has its turn in between.
            loop.call_soon(deliver)

    def settle(result: ExecuteResult | None, error: BaseException | None) -> None:
        if hand_on():
            # What was printed comes before the end.
            loop.call_soon(settle, result, error)
        elif ended.done():
            return
        elif result is None:
            ended.set_exception(error or RuntimeError("an execution ended without a result"))
        else:
            ended.set_result(result)

    def later(function: Callable[..., None]) -> Callable[..., Any]:
        return functools.partial(loop.call_soon_threadsafe, function)

    execution.start(later(deliver), later(settle))
    try:
        return await ended
    finally:
        execution.cancel()


def _outcome(error: BaseException) -> BaseException:
    """What comes out of a future and a coroutine when a callback has raised `error`."""
    if isinstance(error, StopIteration):
        # Neither lets one through (PEP 479).
        raised = RuntimeError(f"a callback of the sandbox raised {error!r}")
        raised.__cause__ = error
        return raised
    return error


async def done(value: T) -> T:
    """`value`, for what awaits something that has happened."""
    return value
