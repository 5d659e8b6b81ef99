"""Bar charts in SVG: the medians of a group of benchmarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.sax.saxutils import escape

COLOURS = {"eryx": "#2563eb", "native": "#9ca3af", "pyeryx": "#f59e0b"}
WIDTH, LABELS, BAR, GAP, HEAD = 820, 350, 14, 10, 56
STYLE = "font-family: system-ui, sans-serif; font-size: 12px"


@dataclasses.dataclass(frozen=True)
class Bars:
    """A row of a chart: its name, and the length (0 to 1) and label of each subject's bar."""

    name: str
    subjects: dict[str, tuple[float, str]]


def chart(title: str, rows: Sequence[Bars]) -> str:
    """Draw a chart. Lengths compare within a row, since each row has its own unit."""
    parts = [text(10, 20, title, weight="bold")]
    left = 10
    for subject, colour in COLOURS.items():
        parts.append(bar(left, 30, BAR, colour))
        parts.append(text(left + BAR + 4, 41, subject))
        left += 90
    top = HEAD
    for row in rows:
        middle = top + len(row.subjects) * BAR / 2 + 4
        parts.append(text(LABELS - 8, middle, row.name, anchor="end"))
        for subject, (length, label) in row.subjects.items():
            width = length * (WIDTH - LABELS - 110)
            parts.append(bar(LABELS, top, width, COLOURS[subject]))
            parts.append(text(LABELS + width + 4, top + BAR - 3, label))
            top += BAR
        top += GAP
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}">'
    background = f'<rect width="{WIDTH}" height="{top}" fill="white"/>'
    return "\n".join([head, background, *parts, "</svg>", ""])


def bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'


def text(x: float, y: float, content: str, *, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(content)}</text>'
