"""The columns of the table: interpreters, each with a process that does what it is told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import select
import subprocess
import time
from typing import Any

import processors
from scenes import ON_ONE, SCENES, Scene, Start
from settings import Settings

WORKER = pathlib.Path(__file__).with_name("worker.py")
# Nothing takes that long.
PATIENCE = 300.0


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why there is no figure: in a line, and all that is known."""

    line: str
    detail: str = ""


class Column:
    """An interpreter, or why there is none."""

    def __init__(
        self,
        name: str,
        python: str,
        settings: Settings,
        environment: dict[str, str],
        servers: int,
    ):
        self.name = name
        # Their process.
        self.servers = servers
        self.python = python
        self.settings = settings
        self.environment = {**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def measure(self, scene: Scene, *, fresh: bool) -> list[float] | Failure:
        if isinstance(scene.does, Start):
            return self.start(scene.does.programs[self.name])
        if fresh:
            self.stop()
        try:
            process = self.process = self.process or self.begun()
            which = processors.ONE if scene.group in ON_ONE else processors.ALL
            for placed in (process.pid, self.servers):
                processors.place(placed, which)
            return self.ask(process, SCENES.index(scene))
        finally:
            if fresh:
                self.stop()

    def start(self, program: str) -> list[float] | Failure:
        """Seconds until the program prints its first line."""
        began = time.perf_counter()
        with subprocess.Popen(
            [self.python, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=self.environment,
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            took = time.perf_counter() - began
            _, errors = process.communicate()
        if line != b"1\n":
            return failure(errors.decode(errors="replace"))
        return [took]

    def ask(self, process: subprocess.Popen[bytes], number: int) -> list[float] | Failure:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{number}\n".encode())
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            line = process.stdout.readline() if ready else b""
        except BrokenPipeError:
            ready, line = [process.stdout], b""
        if not line:
            if not ready:
                process.kill()
                self.stop()
                return Failure(f"takes longer than {PATIENCE:.0f} s")
            status = process.wait()
            self.stop()
            return Failure(f"the process ended with status {status}")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            return Failure(told["error"], told["detail"])
        figures: list[float] = told["figures"]
        return figures

    def begun(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [self.python, str(WORKER), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(dataclasses.asdict(self.settings)).encode() + b"\n")
        return process

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def failure(told: str) -> Failure:
    lines = [line for line in told.splitlines() if line.strip()]
    return Failure(lines[-1] if lines else "nothing was printed", told)
