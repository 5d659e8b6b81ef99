"""Runs benchmarks in rounds: in each round every benchmark runs for every subject."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence

from benchmarks import ArtifactSizes, Benchmark, SandboxWorkload
from stats import Quartiles
from subjects import Failure, Subject

# A subject that fails this often in a benchmark is not measured in it again.
MAX_FAILURES = 2


@dataclasses.dataclass
class Cell:
    """The measurements of a row for a subject, and the failures."""

    measurements: list[float] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)

    @property
    def quartiles(self) -> Quartiles | None:
        return Quartiles.of(self.measurements) if self.measurements else None


class Runner:
    """Runs benchmarks, and holds the results by the names of row and subject."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Cell] = {}
        # The total duration of each benchmark in seconds, by the name of its first row.
        self.durations: dict[str, float] = {}

    def cell(self, row: str, subject: str) -> Cell:
        return self.cells.setdefault((row, subject), Cell())

    def median(self, row: str, subject: str) -> float | None:
        cell = self.cells.get((row, subject))
        quartiles = cell.quartiles if cell else None
        return quartiles.median if quartiles else None

    def run(self, benchmarks: Sequence[Benchmark], subjects: Sequence[Subject], count: int) -> None:
        """Run a warm-up round, whose results are discarded, and `count` rounds."""
        for number in range(count + 1):
            print(f"round {number} of {count}", file=sys.stderr)
            for benchmark in benchmarks:
                if not is_scheduled(benchmark, number, count):
                    continue
                # Rotate the order, so that no subject always runs first after another benchmark.
                first = number % len(subjects)
                for subject in (*subjects[first:], *subjects[:first]):
                    if subject.name in benchmark.subjects and not self.gave_up(benchmark, subject):
                        self.run_one(benchmark, subject, keep=number > 0)

    def gave_up(self, benchmark: Benchmark, subject: Subject) -> bool:
        cell = self.cell(benchmark.rows[0].name, subject.name)
        return len(cell.failures) >= MAX_FAILURES and not cell.measurements

    def run_one(self, benchmark: Benchmark, subject: Subject, *, keep: bool) -> None:
        workload = benchmark.workload
        fresh = isinstance(workload, SandboxWorkload) and workload.fresh
        start = time.monotonic()
        result = subject.measure(benchmark, fresh=fresh)
        name = benchmark.rows[0].name
        self.durations[name] = self.durations.get(name, 0) + time.monotonic() - start
        for n, row in enumerate(benchmark.rows):
            cell = self.cell(row.name, subject.name)
            if isinstance(result, Failure):
                cell.failures.append(result)
            elif keep:
                cell.measurements.append(result[n])


def is_scheduled(benchmark: Benchmark, number: int, count: int) -> bool:
    """Return whether the benchmark runs in round `number` of `count`."""
    workload = benchmark.workload
    if isinstance(workload, ArtifactSizes):
        return False
    if not isinstance(workload, SandboxWorkload) or workload.every == 1:
        return True
    # In the last round, and in every n-th before it.
    return number > 0 and (count - number) % workload.every == 0
