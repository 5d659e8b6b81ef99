"""Assembles the source of benchmark programs: prelude, constants and body."""

from __future__ import annotations

import pathlib

from benchmarks import Program
from worker_config import WorkerConfig

FOLDER = pathlib.Path(__file__).parent.parent / "programs"


def prelude(config: WorkerConfig, secure: bool, by_name: bool = False) -> str:
    """Return the source that precedes programs that connect to the server."""
    port = config.tls_port if secure else config.plain_port
    host = "localhost" if by_name else "127.0.0.1"
    constants = {"HOST": host, "PORT": port, "SECURE": secure}
    return assignments(constants) + (FOLDER / "prelude.py").read_text()


def full_source(program: Program, config: WorkerConfig) -> str:
    """Return the prelude and the program, which defines `main`."""
    parts = [
        prelude(config, program.secure, program.by_name or bool(program.inspection)),
        assignments(program.constants),
        (FOLDER / f"{program.file}.py").read_text(),
    ]
    return "\n".join(parts)


def assignments(constants: dict[str, object]) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in constants.items())
