"""The figures as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rounds import Cell, Rounds
from scenes import COLUMNS, ERYX, NATIVE, PEER, Row, Scene

NOTHING = "–"
HEAD = ["what", "eryx", "native", "peer", "÷ native", "÷ peer", "target"]
# What of an error fits into a cell.
LONGEST = 100


def table(scenes: Sequence[Scene], rounds: Rounds, missing: dict[str, str]) -> str:
    lines = [line(HEAD), "|" + "---|" * len(HEAD)]
    for scene in scenes:
        for row in scene.rows:
            cells = [shown(row, scene, column, rounds, missing) for column in COLUMNS]
            ratios = [ratio(rounds, row.name, column) for column in (NATIVE, PEER)]
            lines.append(line([row.name, *cells, *ratios, judged(row, rounds)]))
    return "\n".join(lines) + "\n"


def shown(row: Row, scene: Scene, column: str, rounds: Rounds, missing: dict[str, str]) -> str:
    if column not in scene.columns:
        return NOTHING
    if column in missing:
        return "missing"
    cell = rounds.cells.get((row.name, column), Cell())
    spread = cell.spread
    if spread is None:
        return why(cell)
    text = row.unit.text(spread.median)
    if len(cell.figures) > 1:
        text += f" ({row.unit.number(spread.low)}–{row.unit.number(spread.high)})"
    return text


def why(cell: Cell) -> str:
    """The first line of the error."""
    if not cell.failures:
        return "not measured"
    told = " ".join(cell.failures[0].line.split())
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"


def ratio(rounds: Rounds, row: str, column: str) -> str:
    ours, theirs = rounds.median(row, ERYX), rounds.median(row, column)
    return NOTHING if ours is None or not theirs else f"{ours / theirs:.2f}"


def judged(row: Row, rounds: Rounds) -> str:
    verdicts = [target.judge(row.name, row.unit, rounds.median) for target in row.targets]
    return "; ".join(map(str, verdicts)) or NOTHING


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
