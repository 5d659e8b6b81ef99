"""A lookup under way, as a descriptor an event loop can wait for."""

from __future__ import annotations

from . import descriptors, names
from .host import AT_ONCE, HostLookup


class Lookup(descriptors.Description):
    """Readable once the answer is there."""

    __slots__ = ("resource",)

    def __init__(self, resource: HostLookup) -> None:
        super().__init__()
        self.resource: HostLookup | None = resource

    def take(self) -> list[str]:
        """The answer. Raises BlockingIOError while there is none."""
        assert self.resource is not None  # taken once
        try:
            addresses = names.finish(self.resource, AT_ONCE)
        except BlockingIOError:
            raise
        except BaseException:
            self.resource = None
            raise
        self.resource = None
        return addresses

    def close(self) -> None:
        """Cancel, if it still runs."""
        if self.resource is not None:
            self.resource.__exit__(None, None, None)
            self.resource = None
