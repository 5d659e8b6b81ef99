"""Standard input."""

import io
import sys


def reopen() -> None:
    """Opens `sys.stdin` anew, without what was read in advance from the input before."""
    raw = io.FileIO(0, closefd=False)
    raw.name = "<stdin>"
    # As CPython does: the ends of lines stay what they are.
    stream = io.TextIOWrapper(
        io.BufferedReader(raw), encoding="utf-8", errors="surrogateescape", newline="\n"
    )
    stream.mode = "r"  # type: ignore[misc]
    sys.stdin = sys.__stdin__ = stream  # type: ignore[misc]
