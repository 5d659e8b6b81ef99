"""What figures count, and how they are shown."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Unit:
    """Figures are kept in seconds, bytes, and so on. `scale` makes them what `symbol` says."""

    symbol: str
    scale: float = 1.0

    def number(self, figure: float) -> str:
        """Three digits at least, and no more decimals than they need."""
        shown = figure * self.scale
        size = abs(shown)
        decimals = 0 if size >= 100 or shown == int(shown) else 1 if size >= 10 else 2
        return f"{shown:,.{decimals}f}"

    def text(self, figure: float) -> str:
        return f"{self.number(figure)} {self.symbol}".rstrip()


MICROSECONDS = Unit("µs", 1e6)
MILLISECONDS = Unit("ms", 1e3)
SECONDS = Unit("s")
MEGABYTES_PER_SECOND = Unit("MB/s", 1e-6)
PER_SECOND = Unit("/s")
MEBIBYTES = Unit("MiB", 2.0**-20)
MEGABYTES = Unit("MB", 1e-6)
NUMBER = Unit("")
