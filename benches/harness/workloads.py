"""Workloads that need the sandbox API: creation, sessions, memory, throughput and builds."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable

from adapters.protocol import Sandboxes, Session
from program_source import prelude
from stats import quantile
from worker_config import WorkerConfig

#: The functions that measure a call, in seconds.
FUNCTION_CALLS = """
import asyncio, time, tools

def median(durations):
    return sorted(durations)[len(durations) // 2]

def plain():
    durations = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(100):
            tools.echo(1)
        durations.append((time.perf_counter() - start) / 100)
    return median(durations)

async def awaited():
    durations = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(100):
            await tools.aecho(1)
        durations.append((time.perf_counter() - start) / 100)
    return median(durations)

async def overlapping():
    start = time.perf_counter()
    await asyncio.gather(*(tools.delay(0.1) for _ in range(200)))
    return time.perf_counter() - start

def large():
    text = "x" * 2**20
    start = time.perf_counter()
    tools.echo(text)
    return time.perf_counter() - start
"""

#: What a session has that is copied.
STATE = """
import collections, dataclasses, datetime, decimal, hashlib, itertools, json, re
import sqlite3
rows = [{'number': n, 'name': str(n)} for n in range(5000)]
"""


class NativeWorkloads:
    """The workloads without a sandbox, for comparison."""

    def fork(self) -> list[float]:
        """Measure a fork of this process until the child has written a byte."""
        # It stays alive.
        state: dict[str, object] = {}
        exec(STATE, state)
        durations = []
        for _ in range(20):
            reader, writer = os.pipe()
            start = time.perf_counter()
            child = os.fork()
            if child == 0:
                os.write(writer, b"x")
                os._exit(0)
            os.read(reader, 1)
            durations.append(time.perf_counter() - start)
            os.waitpid(child, 0)
            os.close(reader)
            os.close(writer)
        return [quantile(durations, 0.5)]


class Workloads:
    """The workloads. Each returns the measurements of its benchmark, in the order of its rows."""

    def __init__(self, sandboxes: Sandboxes, config: WorkerConfig) -> None:
        self.sandboxes = sandboxes
        self.config = config
        self.cache = pathlib.Path(config.scratch) / "factory"

    def new_sandbox(self) -> list[float]:
        return [median_seconds(lambda: self.sandboxes.execute("print(1)"), 20)]

    def session_execute(self) -> list[float]:
        session = self.sandboxes.session()
        session.execute("x = 0")
        return [median_seconds(lambda: session.execute("x += 1"), 200)]

    def values(self) -> list[float]:
        """Measure a value from a new sandbox and from a session."""
        session = self.sandboxes.value_session()
        session.execute("x = 0")
        return [
            median_seconds(lambda: self.sandboxes.evaluate("print(1); 1"), 20),
            median_seconds(lambda: session.evaluate("x += 1; x"), 200),
        ]

    def fork(self) -> list[float]:
        session = self.sandboxes.copyable_session()
        session.execute(STATE)
        return [median_seconds(session.fork, 20)]

    def snapshots(self) -> list[float]:
        """Measure a snapshot, its bytes, and its restoration."""
        session = self.sandboxes.copyable_session()
        session.execute(STATE)
        data = session.snapshot()
        return [
            median_seconds(session.snapshot, 20),
            len(data),
            median_seconds(lambda: self.sandboxes.restore(data), 20),
        ]

    def factory_sandbox(self) -> list[float]:
        factory = self.sandboxes.factory(["requests"], self.cache)
        code = "import requests; print(requests.__version__)"
        return [median_seconds(lambda: factory.execute(code), 20)]

    def function_calls(self) -> list[float]:
        session = self.sandboxes.functions_session()
        session.execute(FUNCTION_CALLS)
        rows = ("plain()", "await awaited()", "await overlapping()", "large()")
        return [float(session.execute(f"print({row})")) for row in rows]

    def idle_sessions(self, count: int) -> list[float]:
        """Measure the memory that a session adds to a process that has one."""
        alive = [self.idle_session()]
        before = Memory.now()
        alive += [self.idle_session() for _ in range(count)]
        after = Memory.now()
        return [(after.rss - before.rss) / count, (after.pss - before.pss) / count]

    def idle_session(self) -> Session:
        session = self.sandboxes.session()
        session.execute("x = 0")
        return session

    def many_sessions(self, count: int) -> list[float]:
        program = prelude(self.config, secure=True)
        sessions = []
        for _ in range(count):
            session = self.sandboxes.connected_session()
            session.execute(f"{program}\nconnection = connect()\nrequest(connection)")
            sessions.append(session)
        memory = Memory.now()
        descriptors = len(os.listdir("/proc/self/fd"))
        durations = []
        for session in sessions:
            start = time.perf_counter()
            session.execute("request(connection)")
            durations.append(time.perf_counter() - start)
        return [
            memory.rss,
            memory.pss,
            descriptors,
            quantile(durations, 0.5),
            quantile(durations, 0.99),
        ]

    def throughput(self, workers: int) -> list[float]:
        scripts = 400
        durations: list[float] = []
        failures: list[Exception] = []

        def work() -> None:
            try:
                for _ in range(scripts // workers):
                    start = time.perf_counter()
                    self.sandboxes.execute("print(sum(range(1000)))")
                    durations.append(time.perf_counter() - start)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - start
        if failures:
            raise failures[0]
        return [len(durations) / elapsed, quantile(durations, 0.99)]

    def build_factory(self) -> list[float]:
        """Build a factory with an empty cache."""
        with tempfile.TemporaryDirectory(dir=self.config.scratch) as folder:
            return [self.build_seconds(pathlib.Path(folder))]

    def build_cached_factory(self) -> list[float]:
        """Build a factory from the cache that an earlier process has filled."""
        return [self.build_seconds(self.cache)]

    def build_seconds(self, cache: pathlib.Path) -> float:
        start = time.perf_counter()
        self.sandboxes.factory(["requests"], cache)
        return time.perf_counter() - start


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory of this process in bytes: resident (RSS), and its share of that (PSS)."""

    rss: int
    pss: int

    @classmethod
    def now(cls) -> Memory:
        fields = {}
        for line in pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            fields[name] = rest
        rss, pss = (int(fields[name].split()[0]) * 1024 for name in ("Rss", "Pss"))
        return cls(rss, pss)


def median_seconds(function: Callable[[], object], count: int) -> float:
    """Return the median duration of `count` calls in seconds, after a warm-up call."""
    function()
    durations = []
    for _ in range(count):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return quantile(durations, 0.5)
