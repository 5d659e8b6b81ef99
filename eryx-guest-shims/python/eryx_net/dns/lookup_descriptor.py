"""A lookup in progress, as a descriptor that an event loop can wait for."""

from __future__ import annotations

from ..descriptors import Description
from ..host import LOST, NON_BLOCKING, HostLookup
from .name_functions import finish_lookup


class Lookup(Description):
    """A lookup in progress. Its descriptor is readable once the result is available."""

    __slots__ = ("resource",)

    def __init__(self, resource: HostLookup) -> None:
        super().__init__()
        self.resource: HostLookup | None = resource

    def take(self) -> list[str]:
        """Returns the addresses. Raises BlockingIOError while they are not available."""
        assert self.resource is not None  # taken once
        try:
            addresses = finish_lookup(self.resource, NON_BLOCKING)
        except BlockingIOError:
            raise
        except BaseException:
            self.resource = None
            raise
        self.resource = None
        return addresses

    def lose_resource(self) -> None:
        """Makes the lookup fail with EAI_AGAIN, unless its result was taken."""
        if self.resource is not None:
            self.resource = LOST

    def close(self) -> None:
        """Cancels the lookup unless it is complete."""
        if self.resource is not None:
            self.resource.__exit__(None, None, None)
            self.resource = None
