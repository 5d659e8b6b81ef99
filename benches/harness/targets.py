"""Performance targets and their evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from units import Unit

# Returns the median of a row for a subject, if it was measured.
Medians = Callable[[str, str], float | None]

ERYX = "eryx"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The text of a target, the value compared with it, and whether the target is met. Both are
    `None` if a measurement is missing."""

    target: str
    found: float | None
    met: bool | None

    def __str__(self) -> str:
        if self.met is None:
            return f"{self.target}: not evaluated"
        return f"{self.target}: {'met' if self.met else '**missed**'}"


class Target(Protocol):
    """A condition on the median of Eryx."""

    def evaluate(self, row: str, unit: Unit, medians: Medians) -> Verdict: ...


@dataclasses.dataclass(frozen=True)
class Ratio:
    """An upper or lower bound of the median of Eryx divided by that of another subject."""

    subject: str
    at_most: float | None = None
    at_least: float | None = None
    # Appended to the text, for a ratio that stands for another requirement.
    note: str = ""

    def evaluate(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        eryx, other = medians(row, ERYX), medians(row, self.subject)
        if self.at_most is not None:
            text = f"≤ {self.at_most:.2f} × {self.subject}{self.note}"
        else:
            text = f"≥ {self.at_least:.2f} × {self.subject}{self.note}"
        if eryx is None or not other:
            return Verdict(text, None, None)
        ratio = eryx / other
        met = (self.at_most is None or ratio <= self.at_most) and (
            self.at_least is None or ratio >= self.at_least
        )
        return Verdict(text, ratio, met)


@dataclasses.dataclass(frozen=True)
class OfRow:
    """An upper or lower bound of the median of Eryx divided by that of the row `base`, which is the
    same without what this row adds."""

    base: str
    label: str
    at_most: float | None = None
    at_least: float | None = None

    def evaluate(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        eryx, base = medians(row, ERYX), medians(self.base, ERYX)
        if self.at_most is not None:
            text = f"≤ {self.at_most:.2f} × {self.label}"
        else:
            text = f"≥ {self.at_least:.2f} × {self.label}"
        if eryx is None or not base:
            return Verdict(text, None, None)
        ratio = eryx / base
        met = (self.at_most is None or ratio <= self.at_most) and (
            self.at_least is None or ratio >= self.at_least
        )
        return Verdict(text, ratio, met)


@dataclasses.dataclass(frozen=True)
class AtMost:
    """An upper bound of the median of Eryx."""

    bound: float

    def evaluate(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        eryx = medians(row, ERYX)
        text = f"≤ {unit.text(self.bound)}"
        return Verdict(text, eryx, None if eryx is None else eryx <= self.bound)


@dataclasses.dataclass(frozen=True)
class Linear:
    """Linear scaling: at least 90 % of `factor` times the median of the row `base`."""

    base: str
    factor: int

    def evaluate(self, row: str, unit: Unit, medians: Medians) -> Verdict:
        eryx, base = medians(row, ERYX), medians(self.base, ERYX)
        least = 0.9 * self.factor
        text = f"≥ {least:.1f} × one worker"
        if eryx is None or not base:
            return Verdict(text, None, None)
        return Verdict(text, eryx / base, eryx / base >= least)
