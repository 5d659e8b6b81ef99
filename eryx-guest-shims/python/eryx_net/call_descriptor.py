"""A call of a function of the embedder, as a descriptor that an event loop can wait for."""

from __future__ import annotations

from .descriptors import Description
from .host import LOST, HostCall


class Call(Description):
    """A call in progress. Its descriptor is readable once the function has returned or failed."""

    __slots__ = ("resource",)

    def __init__(self, resource: HostCall) -> None:
        super().__init__()
        self.resource = resource

    def lose_resource(self) -> None:
        """Makes the call fail: a fork of the session does not have it."""
        self.resource = LOST

    def close(self) -> None:
        """Cancels the call unless it is complete."""
        self.resource.__exit__(None, None, None)
