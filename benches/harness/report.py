"""What a run has found: as data, as a table and as charts."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from chart import Bars, chart
from rounds import Rounds
from scenes import COLUMNS, GROUPS, Row, Scene
from table import table


@dataclasses.dataclass(frozen=True)
class Report:
    """A run."""

    scenes: Sequence[Scene]
    rounds: Rounds
    machine: dict[str, str]
    # Columns that could not be measured, and why.
    missing: dict[str, str]

    def data(self) -> dict[str, Any]:
        rows = []
        for scene in self.scenes:
            for row in scene.rows:
                targets = [
                    dataclasses.asdict(target.judge(row.name, row.unit, self.rounds.median))
                    for target in row.targets
                ]
                columns = {column: self.cell(row, column) for column in scene.columns}
                rows.append(
                    {
                        "group": scene.group,
                        "name": row.name,
                        "unit": row.unit.symbol,
                        "scale": row.unit.scale,
                        "columns": columns,
                        "targets": targets,
                    }
                )
        return {
            "machine": self.machine,
            "missing": self.missing,
            "rows": rows,
            "seconds": self.rounds.took,
        }

    def cell(self, row: Row, column: str) -> dict[str, Any]:
        cell = self.rounds.cell(row.name, column)
        spread = cell.spread
        return {
            "figures": cell.figures,
            "spread": dataclasses.asdict(spread) if spread else None,
            "failures": [dataclasses.asdict(failure) for failure in cell.failures],
        }

    def text(self) -> str:
        """The machine, the table, and what is missing."""
        lines = [f"- {name}: {value}" for name, value in self.machine.items()]
        lines += [f"- the column {name} is missing: {why}" for name, why in self.missing.items()]
        return "\n".join([*lines, "", table(self.scenes, self.rounds, self.missing)])

    def charts(self) -> dict[str, str]:
        """By group."""
        found = {}
        for group in GROUPS:
            rows = [row for scene in self.scenes if scene.group == group for row in scene.rows]
            if bars := [self.bars(row) for row in rows]:
                found[group] = chart(group, bars)
        return found

    def bars(self, row: Row) -> Bars:
        medians = {column: self.rounds.median(row.name, column) for column in COLUMNS}
        known = {column: median for column, median in medians.items() if median is not None}
        most = max(known.values(), default=0)
        return Bars(
            row.name,
            {
                column: (median / most if most else 0, row.unit.text(median))
                for column, median in known.items()
            },
        )

    def save(self, folder: pathlib.Path) -> None:
        (folder / "report.json").write_text(json.dumps(self.data(), indent=1) + "\n")
        (folder / "report.md").write_text(self.text())
        for group, drawing in self.charts().items():
            (folder / f"{group}.svg").write_text(drawing)
