"""Rounds: in each, every scene in every column, one after another."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence

from columns import Column, Failure
from figures import Spread
from scenes import Deed, Scene, Size

# A column that fails this often at a scene is not asked again.
TRIES = 2


@dataclasses.dataclass
class Cell:
    """All figures of a row in a column, or why there are none."""

    figures: list[float] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)

    @property
    def spread(self) -> Spread | None:
        return Spread.of(self.figures) if self.figures else None


class Rounds:
    """Every figure, by the name of its row and of its column."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Cell] = {}
        # Seconds that scenes took in all, by the name of the first row.
        self.took: dict[str, float] = {}

    def cell(self, row: str, column: str) -> Cell:
        return self.cells.setdefault((row, column), Cell())

    def median(self, row: str, column: str) -> float | None:
        cell = self.cells.get((row, column))
        spread = cell.spread if cell else None
        return spread.median if spread else None

    def run(self, scenes: Sequence[Scene], columns: Sequence[Column], count: int) -> None:
        """The first round, which warms up, is not kept."""
        for number in range(count + 1):
            print(f"round {number} of {count}", file=sys.stderr)
            for scene in scenes:
                if not due(scene, number, count):
                    continue
                # Nobody is always the first after another scene.
                turn = number % len(columns)
                for column in (*columns[turn:], *columns[:turn]):
                    if column.name in scene.columns and not self.given_up(scene, column):
                        self.step(scene, column, keep=number > 0)

    def given_up(self, scene: Scene, column: Column) -> bool:
        cell = self.cell(scene.rows[0].name, column.name)
        return len(cell.failures) >= TRIES and not cell.figures

    def step(self, scene: Scene, column: Column, *, keep: bool) -> None:
        fresh = isinstance(scene.does, Deed) and scene.does.fresh
        began = time.monotonic()
        figures = column.measure(scene, fresh=fresh)
        name = scene.rows[0].name
        self.took[name] = self.took.get(name, 0) + time.monotonic() - began
        for n, row in enumerate(scene.rows):
            cell = self.cell(row.name, column.name)
            if isinstance(figures, Failure):
                cell.failures.append(figures)
            elif keep:
                cell.figures.append(figures[n])


def due(scene: Scene, number: int, count: int) -> bool:
    """Whether the scene is done in this round of so many."""
    if isinstance(scene.does, Size):
        return False
    if not isinstance(scene.does, Deed) or scene.does.every == 1:
        return True
    # In the last round, and in some before it.
    return number > 0 and (count - number) % scene.does.every == 0
