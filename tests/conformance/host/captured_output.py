"""The output of servers that run for a sandbox."""

from __future__ import annotations

import importlib
import io
import sys


class Stream(io.StringIO):
    """A stream that stays open: servers of later tests write to it after a test has closed it."""

    def close(self) -> None:
        """Do nothing."""


def capture(output: Stream, module: str, log: Stream) -> None:
    """Redirect standard output to `output`, and the log of `module`'s `smtpd` to `log`."""
    sys.stdout = output
    importlib.import_module(module).smtpd.DEBUGSTREAM = log
