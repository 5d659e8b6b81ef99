"""The page that holds the last report."""

from __future__ import annotations

import pathlib

BEGIN = "<!-- cargo xtask bench --write begins here -->"
END = "<!-- cargo xtask bench --write ends here -->"


def put(page: pathlib.Path, report: str) -> None:
    """In place of the report that is there."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{report}\n{END}{after}")


def taken(page: pathlib.Path) -> str:
    """The report that is there."""
    _, begin, rest = page.read_text().partition(BEGIN)
    report, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for a report")
    return report.strip()
