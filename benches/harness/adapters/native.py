"""The interpreter of the worker process itself."""

from __future__ import annotations

import contextlib
import io
from typing import Any


class Session:
    """Runs code without a sandbox."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "program"}

    def execute(self, code: str) -> str:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(code, "<program>", "exec"), self.namespace)
        return output.getvalue()
