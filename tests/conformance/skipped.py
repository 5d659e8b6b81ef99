"""The list of tests that are left out, each under its reason: `skipped.txt`."""

from __future__ import annotations

import re
from pathlib import Path

PATH = Path(__file__).with_name("skipped.txt")
# How a reason begins that is about the suite: another CPython's tests are as they should be.
_OF_THE_SUITE = "CPython "

_HEADING = re.compile(r"\[(.+)\]")
_TEST = re.compile(r"[\w.]+(\.\*)?")


class Skipped:
    """Which tests are left out and why. An entry that ends in `.*` stands for all of a class."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons

    @classmethod
    def read(cls, path: Path = PATH) -> Skipped:
        """Read the list. Raises ValueError for a line that is no reason and no test's name."""
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
                raise ValueError(f"{path}:{number}: no reason, no name, or twice: {line}")
        return cls(reasons)

    def of_another_suite(self) -> Skipped:
        """What is left out of tests that are not those the list was made for."""
        return Skipped(
            {
                test: reason
                for test, reason in self.reasons.items()
                if not reason.startswith(_OF_THE_SUITE)
            }
        )

    def reason(self, test: str) -> str | None:
        """Why a test is left out; None if it is not."""
        return self.reasons.get(test) or self.reasons.get(test.rpartition(".")[0] + ".*")

    def stale(self, module: str, tests: set[str]) -> list[str]:
        """The entries for a file that no test of it bears out."""
        classes = {test.rpartition(".")[0] + ".*" for test in tests}
        return [
            entry
            for entry in self.reasons
            if entry.startswith(module + ".") and entry not in tests and entry not in classes
        ]
