"""The two parts of a program that is interrupted for a snapshot of its session.

Runs in the sandbox, before the program. A program without asyncio is a generator here, and one with
asyncio is a task.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Generator, Iterator

_reached: asyncio.Event
_resumed: asyncio.Event


async def pause() -> None:
    """Wait until the program is to go on."""
    _reached.set()
    await _resumed.wait()


class Interrupted:
    """A program without asyncio."""

    def __init__(self, program: Callable[[], Generator[None]]) -> None:
        self.steps = program()

    def start(self) -> None:
        next(self.steps)

    def finish(self, library: str) -> None:
        """Run the second part, and print how it ended."""
        try:
            for _ in self.steps:
                raise AssertionError("interrupted twice")
        except Exception as error:
            print(describe(error, library))
        else:
            print("finished")


class InterruptedTask:
    """A program with asyncio."""

    def __init__(self, main: Callable[[], Awaitable[None]]) -> None:
        global _reached, _resumed
        _reached, _resumed = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(main())

    async def start(self) -> None:
        reached = asyncio.ensure_future(_reached.wait())
        await asyncio.wait([self.task, reached], return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            await self.task
            raise AssertionError("not interrupted")

    async def finish(self, library: str) -> None:
        """Run the second part, and print how it ended."""
        _resumed.set()
        try:
            await self.task
        except Exception as error:
            print(describe(error, library))
        else:
            print("finished")


def describe(error: Exception, library: str) -> str:
    """Return the names of connection errors, or the traceback of another error.

    Connection errors are those of Python, but not its `TimeoutError`, since a lost connection is to
    be noticed at once; and the errors that the library defines.
    """
    names = []
    for each in leaves(error):
        kind = type(each)
        own = kind.__module__.partition(".")[0] == library
        if not own and not isinstance(each, ConnectionError | EOFError):
            return "".join(traceback.format_exception(error))
        prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        names.append(prefix + kind.__qualname__)
    return ", ".join(sorted(set(names)))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of a group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves(each)
    else:
        yield error
