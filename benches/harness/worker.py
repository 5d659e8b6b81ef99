"""A column's process: is told its settings, then scenes by number, and answers each with figures.

One line of JSON each way, over standard input and output."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import text
from deeds import Deeds
from native import Session as NativeSession
from sandboxes import Factory, Sandboxes, Session
from scenes import ERYX, NATIVE, SCENES, Deed, Program
from settings import Settings

LIBRARIES = ["requests", "httpx"]


class Worker:
    """What a column does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sessions: dict[bool, Session] = {}

    def run(self, does: object) -> list[float]:
        if isinstance(does, Program):
            return [self.program(does)]
        raise TypeError(f"cannot run {does}")

    def program(self, program: Program) -> float:
        """A session is kept for the next program, unless this one fails."""
        session = self.sessions.pop(program.libraries, None) or self.session(program.libraries)
        call = self.call("main()", program.asynchronous)
        code = f"{text.whole(program, self.settings)}\nprint({call})"
        figure = float(session.execute(code))
        self.sessions[program.libraries] = session
        return figure

    def session(self, libraries: bool) -> Session:
        raise NotImplementedError

    def call(self, call: str, asynchronous: bool) -> str:
        raise NotImplementedError


class Native(Worker):
    """Runs programs, and has no sandboxes."""

    def session(self, libraries: bool) -> Session:
        return NativeSession()

    def call(self, call: str, asynchronous: bool) -> str:
        return f"__import__('asyncio').run({call})" if asynchronous else call


class Sandboxed(Worker):
    """Runs programs in sessions."""

    def __init__(self, settings: Settings, sandboxes: Sandboxes) -> None:
        super().__init__(settings)
        self.sandboxes = sandboxes
        self.deeds = Deeds(sandboxes, settings)
        self.factory: Factory | None = None

    def run(self, does: object) -> list[float]:
        if isinstance(does, Deed):
            figures: list[float] = getattr(self.deeds, does.name)(*does.arguments)
            return figures
        return super().run(does)

    def session(self, libraries: bool) -> Session:
        if not libraries:
            return self.sandboxes.connected()
        if self.factory is None:
            cache = self.deeds.cache.with_name("libraries")
            self.factory = self.sandboxes.factory(LIBRARIES, cache)
        return self.factory.session()

    def call(self, call: str, asynchronous: bool) -> str:
        # The loop runs already.
        return f"await {call}" if asynchronous else call


class Lazy:
    """Is made when it is asked first, so that what goes wrong then is an answer too."""

    def __init__(self, column: str, settings: Settings) -> None:
        self.column = column
        self.settings = settings
        self.worker: Worker | None = None

    def run(self, does: object) -> list[float]:
        if self.worker is None:
            self.worker = made(self.column, self.settings)
        return self.worker.run(does)


def made(column: str, settings: Settings) -> Worker:
    if column == NATIVE:
        return Native(settings)
    if column == ERYX:
        import eryx_sandboxes

        return Sandboxed(settings, eryx_sandboxes.Sandboxes(settings))
    import peer_sandboxes

    return Sandboxed(settings, peer_sandboxes.Sandboxes(settings))


def answer(act: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"figures": act()}
    except Exception as error:
        told = [line for line in str(error).splitlines() if line.strip()] or [""]
        # The last line of a traceback says what happened.
        line = told[-1] if told[0].startswith("Traceback") or len(told) > 1 else told[0]
        return {"error": line or type(error).__name__, "detail": traceback.format_exc()}


def main() -> None:
    _, column = sys.argv
    # What programs print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = Settings(**json.loads(sys.stdin.readline()))
    worker = Lazy(column, settings)
    for line in sys.stdin:
        told = answer(partial(worker.run, SCENES[int(line)].does))
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
