"""A group's medians as bars, in SVG."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.sax.saxutils import escape

COLOURS = {"eryx": "#2563eb", "native": "#9ca3af", "peer": "#f59e0b"}
WIDTH, LABELS, BAR, GAP, HEAD = 820, 350, 14, 10, 56
STYLE = "font-family: system-ui, sans-serif; font-size: 12px"


@dataclasses.dataclass(frozen=True)
class Bars:
    """A row: its name, and for each column how long its bar is, from 0 to 1, and what it says."""

    name: str
    columns: dict[str, tuple[float, str]]


def chart(title: str, rows: Sequence[Bars]) -> str:
    """Bars are compared within a row; rows have units of their own."""
    parts = [text(10, 20, title, weight="bold")]
    at = 10
    for column, colour in COLOURS.items():
        parts.append(bar(at, 30, BAR, colour))
        parts.append(text(at + BAR + 4, 41, column))
        at += 90
    top = HEAD
    for row in rows:
        middle = top + len(row.columns) * BAR / 2 + 4
        parts.append(text(LABELS - 8, middle, row.name, anchor="end"))
        for column, (length, told) in row.columns.items():
            width = length * (WIDTH - LABELS - 110)
            parts.append(bar(LABELS, top, width, COLOURS[column]))
            parts.append(text(LABELS + width + 4, top + BAR - 3, told))
            top += BAR
        top += GAP
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}">'
    ground = f'<rect width="{WIDTH}" height="{top}" fill="white"/>'
    return "\n".join([head, ground, *parts, "</svg>", ""])


def bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'


def text(x: float, y: float, told: str, *, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(told)}</text>'
