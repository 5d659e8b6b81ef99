"""The results as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import ERYX, NATIVE, PYERYX, SUBJECTS, Benchmark, Row
from runner import Cell, Runner

EMPTY = "–"
HEAD = ["benchmark", "eryx", "native", "pyeryx", "÷ native", "÷ pyeryx", "target"]
# The maximum length of an error in a cell.
MAX_ERROR = 100


def table(benchmarks: Sequence[Benchmark], runner: Runner, missing: dict[str, str]) -> str:
    lines = [line(HEAD), "|" + "---|" * len(HEAD)]
    for benchmark in benchmarks:
        for row in benchmark.rows:
            cells = [cell_text(row, benchmark, subject, runner, missing) for subject in SUBJECTS]
            ratios = [ratio(runner, row.name, subject) for subject in (NATIVE, PYERYX)]
            lines.append(line([row.name, *cells, *ratios, verdicts(row, runner)]))
    return "\n".join(lines) + "\n"


def cell_text(
    row: Row, benchmark: Benchmark, subject: str, runner: Runner, missing: dict[str, str]
) -> str:
    if subject not in benchmark.subjects:
        return EMPTY
    if subject in missing:
        return "missing"
    cell = runner.cells.get((row.name, subject), Cell())
    quartiles = cell.quartiles
    if quartiles is None:
        return error_text(cell)
    text = row.unit.text(quartiles.median)
    if len(cell.measurements) > 1:
        text += f" ({row.unit.number(quartiles.low)}–{row.unit.number(quartiles.high)})"
    return text


def error_text(cell: Cell) -> str:
    """Return the first line of the first error."""
    if not cell.failures:
        return "not measured"
    text = " ".join(cell.failures[0].line.split())
    return text if len(text) <= MAX_ERROR else f"{text[: MAX_ERROR - 1]}…"


def ratio(runner: Runner, row: str, subject: str) -> str:
    eryx, other = runner.median(row, ERYX), runner.median(row, subject)
    return EMPTY if eryx is None or not other else f"{eryx / other:.2f}"


def verdicts(row: Row, runner: Runner) -> str:
    texts = [str(target.evaluate(row.name, row.unit, runner.median)) for target in row.targets]
    return "; ".join(texts) or EMPTY


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
