"""The text of programs."""

from __future__ import annotations

import pathlib

from scenes import Program
from settings import Settings

FOLDER = pathlib.Path(__file__).parent / "programs"


def opening(settings: Settings, secure: bool) -> str:
    """What comes before programs that speak to the server."""
    port = settings.tls if secure else settings.plain
    constants = {"HOST": "127.0.0.1", "PORT": port, "SECURE": secure}
    return assigned(constants) + (FOLDER / "opening.py").read_text()


def whole(program: Program, settings: Settings) -> str:
    """The program and what comes before it; it has a `main`."""
    parts = [
        opening(settings, program.secure),
        assigned(program.constants),
        (FOLDER / f"{program.file}.py").read_text(),
    ]
    return "\n".join(parts)


def assigned(constants: dict[str, object]) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in constants.items())
