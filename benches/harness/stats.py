"""Figures of many rounds, summed up."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median, and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        return cls(*(quantile(figures, share) for share in (0.25, 0.5, 0.75)))


def quantile(figures: Sequence[float], share: float) -> float:
    """Between two figures where it falls between them. There must be some."""
    ordered = sorted(figures)
    at = share * (len(ordered) - 1)
    below, above = ordered[math.floor(at)], ordered[math.ceil(at)]
    return below + (above - below) * (at - math.floor(at))
