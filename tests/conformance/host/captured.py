"""What servers print that were made for a sandbox."""

from __future__ import annotations

import io
import sys


class Captured(io.StringIO):
    """Standard output from now on."""

    def __init__(self) -> None:
        super().__init__()
        sys.stdout = self
