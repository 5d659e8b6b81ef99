"""What servers write that were made for a sandbox."""

from __future__ import annotations

import importlib
import io
import sys


class Stream(io.StringIO):
    """A stream that stays: servers made after the test that closes it would write to it."""

    def close(self) -> None:
        """Do nothing."""


def capture(output: Stream, module: str, log: Stream) -> None:
    """Have `output` be standard output, and `log` that of the `smtpd` which `module` imports."""
    sys.stdout = output
    importlib.import_module(module).smtpd.DEBUGSTREAM = log
