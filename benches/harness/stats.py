"""Summary statistics: median and quartiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Quartiles:
    """The lower quartile, the median and the upper quartile."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quartiles:
        return cls(*(quantile(values, fraction) for fraction in (0.25, 0.5, 0.75)))


def quantile(values: Sequence[float], fraction: float) -> float:
    """Return the quantile of at least one value, interpolated linearly."""
    ordered = sorted(values)
    position = fraction * (len(ordered) - 1)
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    return below + (above - below) * (position - math.floor(position))
