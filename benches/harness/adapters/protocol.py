"""The interface of the sandboxes under test."""

from __future__ import annotations

import pathlib
from typing import Any, Protocol


class Session(Protocol):
    """An interpreter that keeps its state between executions."""

    def execute(self, code: str) -> str:
        """Return the output of `code`."""


class ValueSession(Session, Protocol):
    """A session whose programs have values."""

    def evaluate(self, code: str) -> Any:
        """Return the value of `code`."""


class CopyableSession(Session, Protocol):
    """A session that can be copied."""

    def fork(self) -> CopyableSession:
        """Return a copy that continues independently."""

    def snapshot(self) -> bytes:
        """Return the state, for `Sandboxes.restore`."""


class Factory(Protocol):
    """A factory of sandboxes with packages."""

    def execute(self, code: str) -> str:
        """Return the output of `code`, run in a new sandbox."""

    def session(self, inspection: str) -> Session:
        """Start a session with the network. `inspection` is what is for the server."""


class Sandboxes(Protocol):
    """A sandbox implementation. Each new sandbox has the default settings of its package."""

    def execute(self, code: str) -> str:
        """Return the output of `code`, run in a new sandbox."""

    def evaluate(self, code: str) -> Any:
        """Return the value of `code`, run in a new sandbox."""

    def session(self) -> Session:
        """Start a session without a network."""

    def value_session(self) -> ValueSession:
        """Start a session without a network whose programs have values."""

    def copyable_session(self) -> CopyableSession:
        """Start a session without a network that can be copied."""

    def restore(self, data: bytes) -> CopyableSession:
        """Continue a session without a network from its state."""

    def connected_session(self, inspection: str = "") -> Session:
        """Start a session with the network. `inspection` is what is for the server."""

    def functions_session(self) -> Session:
        """Start a session with the functions `echo` and, asynchronous, `aecho` and `delay`."""

    def factory(self, imports: list[str], cache: pathlib.Path) -> Factory:
        """Build a factory that has imported `imports`, or load it from `cache`."""
