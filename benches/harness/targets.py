"""What a figure is to be, and whether it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from units import Unit

# The median of a row in a column, if there is one.
Medians = Callable[[str, str], float | None]

OURS = "eryx"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a target says, what it was compared with, and whether it is met: `None` where nothing
    could be compared."""

    target: str
    found: float | None
    met: bool | None

    def __str__(self) -> str:
        if self.met is None:
            return f"{self.target}: not judged"
        return f"{self.target}: {'met' if self.met else '**missed**'}"


class Target(Protocol):
    """A condition on the median of our column."""

    def judge(self, row: str, unit: Unit, medians: Medians) -> Verdict: ...


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Ours divided by another column's, at most or at least."""

    column: str
    at_most: float | None = None
    at_least: float | None = None
    # Where the ratio stands for something else.
    told: str = ""

    def judge(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        ours, theirs = medians(row, OURS), medians(row, self.column)
        if self.at_most is not None:
            text = f"≤ {self.at_most:.2f} × {self.column}{self.told}"
        else:
            text = f"≥ {self.at_least:.2f} × {self.column}{self.told}"
        if ours is None or not theirs:
            return Verdict(text, None, None)
        ratio = ours / theirs
        met = (self.at_most is None or ratio <= self.at_most) and (
            self.at_least is None or ratio >= self.at_least
        )
        return Verdict(text, ratio, met)


@dataclasses.dataclass(frozen=True)
class AtMost:
    """A figure by itself."""

    figure: float

    def judge(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        ours = medians(row, OURS)
        text = f"≤ {unit.text(self.figure)}"
        return Verdict(text, ours, None if ours is None else ours <= self.figure)


@dataclasses.dataclass(frozen=True)
class Linear:
    """A multiple of what another row has, up to a tenth."""

    of: str
    times: int

    def judge(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        ours, one = medians(row, OURS), medians(self.of, OURS)
        least = 0.9 * self.times
        text = f"≥ {least:.1f} × one worker"
        if ours is None or not one:
            return Verdict(text, None, None)
        return Verdict(text, ours / one, ours / one >= least)
