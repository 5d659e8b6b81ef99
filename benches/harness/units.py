"""The units of measurements, and their formatting."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit for display. Measurements are stored in seconds, bytes, and so on; a measurement times
    `scale` has the unit `symbol`."""

    symbol: str
    scale: float = 1.0

    def number(self, value: float) -> str:
        """Format `value` with at least three digits and no unnecessary decimals."""
        scaled = value * self.scale
        size = abs(scaled)
        decimals = 0 if size >= 100 or scaled == int(scaled) else 1 if size >= 10 else 2
        return f"{scaled:,.{decimals}f}"

    def text(self, value: float) -> str:
        return f"{self.number(value)} {self.symbol}".rstrip()


MICROSECONDS = Unit("µs", 1e6)
MILLISECONDS = Unit("ms", 1e3)
SECONDS = Unit("s")
MEGABYTES_PER_SECOND = Unit("MB/s", 1e-6)
PER_SECOND = Unit("/s")
MEBIBYTES = Unit("MiB", 2.0**-20)
MEGABYTES = Unit("MB", 1e-6)
KILOBYTES = Unit("kB", 1e-3)
NUMBER = Unit("")
