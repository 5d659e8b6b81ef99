"""What sandboxes are made to do."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable

from figures import quantile
from sandboxes import Sandboxes, Session
from settings import Settings
from text import opening


class Deeds:
    """Each returns its scene's figures, in the order of its rows."""

    def __init__(self, sandboxes: Sandboxes, settings: Settings) -> None:
        self.sandboxes = sandboxes
        self.settings = settings
        self.cache = pathlib.Path(settings.scratch) / "factory"

    def new_sandbox(self) -> list[float]:
        return [typical(lambda: self.sandboxes.execute("print(1)"), 20)]

    def session(self) -> list[float]:
        session = self.sandboxes.session()
        session.execute("x = 0")
        return [typical(lambda: session.execute("x += 1"), 200)]

    def factory_sandbox(self) -> list[float]:
        factory = self.sandboxes.factory(["requests"], self.cache)
        code = "import requests; print(requests.__version__)"
        return [typical(lambda: factory.execute(code), 20)]

    def idle_sessions(self, count: int) -> list[float]:
        """What a session adds to a process that has one."""
        alive = [self.idle()]
        before = Memory.now()
        alive += [self.idle() for _ in range(count)]
        after = Memory.now()
        return [(after.rss - before.rss) / count, (after.pss - before.pss) / count]

    def idle(self) -> Session:
        session = self.sandboxes.session()
        session.execute("x = 0")
        return session

    def crowd(self, count: int) -> list[float]:
        program = opening(self.settings, secure=True)
        crowd = []
        for _ in range(count):
            session = self.sandboxes.connected()
            session.execute(f"{program}\nconnection = opened()\nexchange(connection)")
            crowd.append(session)
        memory = Memory.now()
        descriptors = len(os.listdir("/proc/self/fd"))
        took = []
        for session in crowd:
            began = time.perf_counter()
            session.execute("exchange(connection)")
            took.append(time.perf_counter() - began)
        return [memory.rss, memory.pss, descriptors, quantile(took, 0.5), quantile(took, 0.99)]

    def throughput(self, workers: int) -> list[float]:
        scripts = 400
        took: list[float] = []
        failures: list[Exception] = []

        def work() -> None:
            try:
                for _ in range(scripts // workers):
                    began = time.perf_counter()
                    self.sandboxes.execute("print(sum(range(1000)))")
                    took.append(time.perf_counter() - began)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - began
        if failures:
            raise failures[0]
        return [len(took) / elapsed, quantile(took, 0.99)]

    def build(self) -> list[float]:
        """Into a folder of its own."""
        with tempfile.TemporaryDirectory(dir=self.settings.scratch) as folder:
            return [self.built(pathlib.Path(folder))]

    def build_again(self) -> list[float]:
        """From where an earlier process has put it."""
        return [self.built(self.cache)]

    def built(self, cache: pathlib.Path) -> float:
        began = time.perf_counter()
        self.sandboxes.factory(["requests"], cache)
        return time.perf_counter() - began


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes this process has: resident, and its share of those."""

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


def typical(act: Callable[[], object], count: int) -> float:
    """Seconds for a call: the median of so many, after one that does not count."""
    act()
    took = []
    for _ in range(count):
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    return quantile(took, 0.5)
