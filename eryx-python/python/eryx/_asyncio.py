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

    def settle(result: ExecuteResult | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if result is None:
            ended.set_exception(error or RuntimeError("an execution ended without a result"))
        else:
            ended.set_result(result)

    def deliver(callback: Callable[[str], Any], text: str) -> None:
        if ended.done():
            return
        try:
            callback(text)
        except BaseException as error:
            settle(None, error)
            execution.cancel()

    def later(function: Callable[..., None]) -> Callable[..., Any]:
        return functools.partial(loop.call_soon_threadsafe, function)

    execution.start(later(settle), later(deliver))
    try:
        return await ended
    finally:
        execution.cancel()


async def done(value: T) -> T:
    """`value`, for what awaits something that has happened."""
    return value
