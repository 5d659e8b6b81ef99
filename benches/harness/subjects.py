"""The subjects under test, each an interpreter with a worker process."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import select
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import cpu_affinity
from benchmarks import BENCHMARKS, PINNED_GROUPS, Benchmark, ProcessStart
from worker_config import WorkerConfig

WORKER = pathlib.Path(__file__).with_name("worker.py")
# The timeout of one measurement, in seconds. None takes that long unless it hangs.
TIMEOUT = 300.0


@dataclasses.dataclass(frozen=True)
class Failure:
    """The reason why a measurement failed: one line, and all details."""

    line: str
    detail: str = ""


class Subject:
    """An interpreter under test, and its worker process while it runs."""

    def __init__(
        self,
        name: str,
        python: str,
        config: WorkerConfig,
        environment: dict[str, str],
        servers: Sequence[int],
    ):
        self.name = name
        # The process IDs of the servers.
        self.servers = servers
        self.python = python
        self.config = config
        self.environment = {**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def measure(self, benchmark: Benchmark, *, fresh: bool) -> list[float] | Failure:
        """Run a benchmark once, if `fresh` in a worker process of its own."""
        if isinstance(benchmark.workload, ProcessStart):
            return self.time_start(benchmark.workload.programs[self.name])
        if fresh:
            self.stop()
        try:
            process = self.process = self.process or self._spawn()
            pinned = benchmark.group in PINNED_GROUPS
            cpus = cpu_affinity.ONE_CPU if pinned else cpu_affinity.ALL_CPUS
            for pid in (process.pid, *self.servers):
                cpu_affinity.pin(pid, cpus)
            return self._request(process, BENCHMARKS.index(benchmark))
        finally:
            if fresh:
                self.stop()

    def time_start(self, program: str) -> list[float] | Failure:
        """Return the seconds until a new process that runs `program` prints its first line."""
        start = time.perf_counter()
        with subprocess.Popen(
            [self.python, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=self.environment,
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.perf_counter() - start
            _, errors = process.communicate()
        if line != b"1\n":
            return failure_of_output(errors.decode(errors="replace"))
        return [seconds]

    def _request(self, process: subprocess.Popen[bytes], number: int) -> list[float] | Failure:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{number}\n".encode())
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
            line = process.stdout.readline() if ready else b""
        except BrokenPipeError:
            ready, line = [process.stdout], b""
        if not line:
            if not ready:
                process.kill()
                self.stop()
                return Failure(f"takes longer than {TIMEOUT:.0f} s")
            status = process.wait()
            self.stop()
            return Failure(f"the process ended with status {status}")
        response: dict[str, Any] = json.loads(line)
        if "error" in response:
            return Failure(response["error"], response["detail"])
        measurements: list[float] = response["measurements"]
        return measurements

    def _spawn(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [self.python, str(WORKER), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(dataclasses.asdict(self.config)).encode() + b"\n")
        return process

    def stop(self) -> None:
        """End the worker process, if it runs."""
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


def failure_of_output(text: str) -> Failure:
    """Return a failure with the last line of `text`."""
    lines = [line for line in text.splitlines() if line.strip()]
    return Failure(lines[-1] if lines else "nothing was printed", text)
