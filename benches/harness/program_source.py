"""Assembles the source of benchmark programs: prelude, constants and body."""

from __future__ import annotations

import pathlib

from benchmarks import Program
from worker_config import WorkerConfig

FOLDER = pathlib.Path(__file__).parent.parent / "programs"
# The length of a response of the harness's own servers with a body of 20 bytes.
RESPONSE_BYTES = len(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n") + 20


def prelude(
    config: WorkerConfig,
    secure: bool,
    by_name: bool = False,
    listener: str = "",
    quantiles: bool = False,
) -> str:
    """Return the source that precedes programs that connect to a server."""
    constants: dict[str, object] = {
        "HOST": "localhost" if by_name else "127.0.0.1",
        "PORT": config.tls_port if secure else config.plain_port,
        "SECURE": secure,
        "RESPONSE": RESPONSE_BYTES,
        "QUANTILES": quantiles,
    }
    if listener:
        if config.nginx is None:
            raise RuntimeError("nginx does not run: see the list above the table")
        constants["PORT"] = getattr(config.nginx, listener)
        constants["RESPONSE"] = config.nginx.response_bytes
    return assignments(constants) + (FOLDER / "prelude.py").read_text()


def full_source(program: Program, config: WorkerConfig) -> str:
    """Return the prelude and the program, which defines `main`."""
    parts = [
        prelude(
            config,
            program.secure,
            program.by_name or bool(program.inspection),
            program.listener,
            program.quantiles,
        ),
        assignments(program.constants),
        (FOLDER / f"{program.file}.py").read_text(),
    ]
    return "\n".join(parts)


def assignments(constants: dict[str, object]) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in constants.items())
