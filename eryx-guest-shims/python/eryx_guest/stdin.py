"""Standard input."""

import io
import sys


def reopen() -> None:
    """Opens `sys.stdin` anew, without what was read in advance from the input before."""
    stream = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8", errors="surrogateescape"
    )
    stream.mode = "r"  # type: ignore[misc]
    sys.stdin = sys.__stdin__ = stream  # type: ignore[misc]
