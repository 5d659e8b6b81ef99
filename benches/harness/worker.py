"""The worker process of a subject: reads its configuration, then runs benchmarks by number.

It exchanges one line of JSON each way over standard input and output."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import program_source
from adapters.native import Session as NativeSession
from adapters.protocol import Factory, Sandboxes, Session
from benchmarks import BENCHMARKS, ERYX, NATIVE, Program, SandboxWorkload
from worker_config import WorkerConfig
from workloads import NativeWorkloads, Workloads

LIBRARIES = ["requests", "httpx", "aiohttp"]


def run_workload(workloads: object, workload: SandboxWorkload) -> list[float]:
    """Run a method of `workloads`."""
    measurements: list[float] = getattr(workloads, workload.name)(*workload.arguments)
    return measurements


class Worker:
    """Runs the workloads of a subject."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        # By whether they have the libraries, and the inspection of the server.
        self.sessions: dict[tuple[bool, str], Session] = {}

    def run(self, workload: object) -> list[float]:
        if isinstance(workload, Program):
            return self.run_program(workload)
        raise TypeError(f"cannot run {workload}")

    def run_program(self, program: Program) -> list[float]:
        """Run a program. Its session is reused for the next program, unless this one fails."""
        kind = program.libraries, program.inspection
        session = self.sessions.pop(kind, None) or self.session(*kind)
        call = self.call("main()", program.asynchronous)
        code = f"{program_source.full_source(program, self.config)}\nprint({call})"
        result = json.loads(session.execute(code))
        self.sessions[kind] = session
        return result if isinstance(result, list) else [result]

    def session(self, libraries: bool, inspection: str) -> Session:
        """Start a session."""
        raise NotImplementedError

    def call(self, call: str, asynchronous: bool) -> str:
        """Return the expression that evaluates `call`."""
        raise NotImplementedError


class NativeWorker(Worker):
    """Runs programs without sandboxes."""

    def run(self, workload: object) -> list[float]:
        if isinstance(workload, SandboxWorkload):
            return run_workload(NativeWorkloads(), workload)
        return super().run(workload)

    def session(self, libraries: bool, inspection: str) -> Session:
        return NativeSession()

    def call(self, call: str, asynchronous: bool) -> str:
        return f"__import__('asyncio').run({call})" if asynchronous else call


class SandboxWorker(Worker):
    """Runs programs in sessions of sandboxes."""

    def __init__(self, config: WorkerConfig, sandboxes: Sandboxes) -> None:
        super().__init__(config)
        self.sandboxes = sandboxes
        self.workloads = Workloads(sandboxes, config)
        self.factory: Factory | None = None

    def run(self, workload: object) -> list[float]:
        if isinstance(workload, SandboxWorkload):
            return run_workload(self.workloads, workload)
        return super().run(workload)

    def session(self, libraries: bool, inspection: str) -> Session:
        if not libraries:
            return self.sandboxes.connected_session(inspection)
        if self.factory is None:
            cache = self.workloads.cache.with_name("libraries")
            self.factory = self.sandboxes.factory(LIBRARIES, cache)
        return self.factory.session(inspection)

    def call(self, call: str, asynchronous: bool) -> str:
        # The event loop of the sandbox already runs.
        return f"await {call}" if asynchronous else call


class LazyWorker:
    """Creates the worker at the first request, so that an error there becomes a response, too."""

    def __init__(self, subject: str, config: WorkerConfig) -> None:
        self.subject = subject
        self.config = config
        self.worker: Worker | None = None

    def run(self, workload: object) -> list[float]:
        if self.worker is None:
            self.worker = create_worker(self.subject, self.config)
        return self.worker.run(workload)


def create_worker(subject: str, config: WorkerConfig) -> Worker:
    if subject == NATIVE:
        return NativeWorker(config)
    if subject == ERYX:
        import adapters.eryx

        return SandboxWorker(config, adapters.eryx.Sandboxes(config))
    import adapters.pyeryx

    return SandboxWorker(config, adapters.pyeryx.Sandboxes(config))


def respond(function: Callable[[], Any]) -> dict[str, Any]:
    """Call `function`, and return the response with its result or its error."""
    try:
        return {"measurements": function()}
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        # The last line of a traceback contains the message.
        line = lines[-1] if lines[0].startswith("Traceback") or len(lines) > 1 else lines[0]
        return {"error": line or type(error).__name__, "detail": traceback.format_exc()}


def main() -> None:
    _, subject = sys.argv
    # The output of programs must not mix with the responses.
    responses = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    config = WorkerConfig.from_json(sys.stdin.readline())
    worker = LazyWorker(subject, config)
    for line in sys.stdin:
        response = respond(partial(worker.run, BENCHMARKS[int(line)].workload))
        print(json.dumps(response), file=responses, flush=True)


if __name__ == "__main__":
    main()
