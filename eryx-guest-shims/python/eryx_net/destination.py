"""Destinations: the host of a `connect`, `sendto` or `bind`, parsed once."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .addresses import (
    CACHE_SIZE,
    LOOPBACK,
    WILDCARDS,
    is_loopback,
    is_short_form,
    literal_family,
)
from .dns import hostname


class Destination(NamedTuple):
    """A host name or an address literal, and what it means inside the sandbox."""

    host: str
    """The name or literal, as `hostname.encode` returned it."""
    family: int | None
    """The address family of a literal, None for a name."""
    is_valid: bool
    """Whether Eryx is asked about it: a literal, a short form, or a name that can exist."""
    loopback: bool
    """Whether it means this sandbox: a loopback literal, `localhost` or the sandbox's own name."""

    def guest_address(self, family: int) -> str | None:
        """Returns the loopback address at which a socket of this program may be bound.

        `family` is the socket's family, used for names. Returns None for a destination
        outside of the sandbox.
        """
        if self.family is None:
            return LOOPBACK[family] if self.loopback else None
        if self.host in WILDCARDS:
            return LOOPBACK[self.family]
        return self.host if self.loopback else None


@lru_cache(maxsize=CACHE_SIZE)
def parse(host: str) -> Destination:
    """Parses a host of at most `hostname.MAX_NAME` characters.

    The short forms of `inet_aton`, such as `127.1`, are passed on to Eryx, whose policy denies
    them: parsers disagree about the address that they stand for.
    """
    # Without methods of a subclass of `str`, as the result is cached.
    host = str.__str__(host)
    family = literal_family(host)
    loopback = hostname.is_own(host) if family is None else is_loopback(host)
    is_valid = family is not None or hostname.is_well_formed(host) or is_short_form(host)
    return Destination(host, family, is_valid, loopback)
