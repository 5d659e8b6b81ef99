"""The interpreter of the process itself."""

from __future__ import annotations

import contextlib
import io
from typing import Any


class Session:
    """Runs code without a sandbox."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "program"}

    def execute(self, code: str) -> str:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "<program>", "exec"), self.names)
        return printed.getvalue()
