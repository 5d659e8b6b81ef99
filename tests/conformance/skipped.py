"""The list of skipped tests with their reasons: `skipped.txt`."""

from __future__ import annotations

import re
from pathlib import Path

PATH = Path(__file__).with_name("skipped.txt")
# Reasons with this prefix apply only to the default suite, not to that of another CPython.
_SUITE_PREFIX = "CPython "

_HEADING = re.compile(r"\[(.+)\]")
_TEST = re.compile(r"[\w.]+(\.\*)?")


class Skipped:
    """The skipped tests and their reasons. An entry that ends in `.*` stands for a whole class."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons

    @classmethod
    def read(cls, path: Path = PATH) -> Skipped:
        """Parse the list. Raises ValueError for a line that is neither a reason nor a test."""
        reasons: dict[str, str] = {}
        reason = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if heading := _HEADING.fullmatch(line):
                reason = heading[1]
            elif reason and _TEST.fullmatch(line) and line not in reasons:
                reasons[line] = reason
            else:
                raise ValueError(f"{path}:{number}: not a reason or a test, or a duplicate: {line}")
        return cls(reasons)

    def for_another_suite(self) -> Skipped:
        """Return the entries that also apply to another CPython's tests."""
        return Skipped(
            {
                test: reason
                for test, reason in self.reasons.items()
                if not reason.startswith(_SUITE_PREFIX)
            }
        )

    def reason(self, test: str) -> str | None:
        """Return the reason why a test is skipped, or None."""
        return self.reasons.get(test) or self.reasons.get(test.rpartition(".")[0] + ".*")

    def stale(self, module: str, tests: set[str]) -> list[str]:
        """Return the entries for a file that match none of its tests."""
        classes = {test.rpartition(".")[0] + ".*" for test in tests}
        return [
            entry
            for entry in self.reasons
            if entry.startswith(module + ".") and entry not in tests and entry not in classes
        ]
