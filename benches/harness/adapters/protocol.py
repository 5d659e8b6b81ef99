"""What sandboxes have in common, whoever made them."""

from __future__ import annotations

import pathlib
from typing import Protocol


class Session(Protocol):
    """An interpreter that lives on."""

    def execute(self, code: str) -> str:
        """What the code printed."""


class Factory(Protocol):
    """Sandboxes with packages."""

    def execute(self, code: str) -> str:
        """What the code printed, in a sandbox of its own."""

    def session(self) -> Session:
        """With the network."""


class Sandboxes(Protocol):
    """Each new sandbox is made with the settings its package has by default."""

    def execute(self, code: str) -> str:
        """What the code printed, in a sandbox of its own."""

    def session(self) -> Session:
        """Without a network."""

    def connected(self) -> Session:
        """With the network."""

    def factory(self, imports: list[str], cache: pathlib.Path) -> Factory:
        """With the libraries, these of them imported. Kept below `cache`, or taken from there."""
