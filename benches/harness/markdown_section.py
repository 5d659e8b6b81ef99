"""The section of a Markdown page that contains the last report."""

from __future__ import annotations

import pathlib

BEGIN = "<!-- cargo xtask bench --write begins here -->"
END = "<!-- cargo xtask bench --write ends here -->"


def replace(page: pathlib.Path, report: str) -> None:
    """Replace the report in `page`."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{report}\n{END}{after}")


def read(page: pathlib.Path) -> str:
    """Return the report in `page`."""
    _, begin, rest = page.read_text().partition(BEGIN)
    report, end, _ = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no section for a report")
    return report.strip()
