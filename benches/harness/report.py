"""The report of a run: as JSON, as a Markdown table and as charts."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from benchmarks import GROUPS, SUBJECTS, Benchmark, Row
from chart import Bars, chart
from runner import Runner
from table import table


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of a run."""

    benchmarks: Sequence[Benchmark]
    runner: Runner
    environment: dict[str, str]
    # The subjects that could not be measured, with the reasons.
    missing: dict[str, str]

    def data(self) -> dict[str, Any]:
        rows = []
        for benchmark in self.benchmarks:
            for row in benchmark.rows:
                targets = [
                    dataclasses.asdict(target.evaluate(row.name, row.unit, self.runner.median))
                    for target in row.targets
                ]
                subjects = {subject: self.cell(row, subject) for subject in benchmark.subjects}
                rows.append(
                    {
                        "group": benchmark.group,
                        "name": row.name,
                        "unit": row.unit.symbol,
                        "scale": row.unit.scale,
                        "subjects": subjects,
                        "targets": targets,
                    }
                )
        return {
            "environment": self.environment,
            "missing": self.missing,
            "rows": rows,
            "seconds": self.runner.durations,
        }

    def cell(self, row: Row, subject: str) -> dict[str, Any]:
        cell = self.runner.cell(row.name, subject)
        quartiles = cell.quartiles
        return {
            "measurements": cell.measurements,
            "quartiles": dataclasses.asdict(quartiles) if quartiles else None,
            "failures": [dataclasses.asdict(failure) for failure in cell.failures],
        }

    def text(self) -> str:
        """Return the environment, the missing subjects and the table, as Markdown."""
        lines = [f"- {name}: {value}" for name, value in self.environment.items()]
        lines += [f"- {name} is not measured: {why}" for name, why in self.missing.items()]
        return "\n".join([*lines, "", table(self.benchmarks, self.runner, self.missing)])

    def charts(self) -> dict[str, str]:
        """Return the chart of each group, as SVG."""
        charts = {}
        for group in GROUPS:
            rows = [
                row
                for benchmark in self.benchmarks
                if benchmark.group == group
                for row in benchmark.rows
            ]
            if bars := [self.bars(row) for row in rows]:
                charts[group] = chart(group, bars)
        return charts

    def bars(self, row: Row) -> Bars:
        medians = {subject: self.runner.median(row.name, subject) for subject in SUBJECTS}
        measured = {subject: median for subject, median in medians.items() if median is not None}
        longest = max(measured.values(), default=0)
        return Bars(
            row.name,
            {
                subject: (median / longest if longest else 0, row.unit.text(median))
                for subject, median in measured.items()
            },
        )

    def save(self, folder: pathlib.Path) -> None:
        (folder / "report.json").write_text(json.dumps(self.data(), indent=1) + "\n")
        (folder / "report.md").write_text(self.text())
        for group, drawing in self.charts().items():
            (folder / f"{group}.svg").write_text(drawing)
