"""The server process that all subjects are measured against."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def running(program: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Run the servers. Return the process ID, and the ports and the CA certificate."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, json.loads(process.stdout.readline())
        process.stdin.close()
