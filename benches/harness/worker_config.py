"""What a column's process is told when it begins."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the servers are and what the process may use."""

    plain: int
    tls: int
    # PEM.
    authority: str
    # Wheels of the libraries.
    wheels: list[str]
    # A folder for what lasts no longer than the process.
    scratch: str
