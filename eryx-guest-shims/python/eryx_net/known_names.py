"""The names this program has looked up, by address: what is asked back of an address.

No question about an address leaves the sandbox, so there is no other way to a name.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from .addresses import unmapped

MOST = 512
"""How many addresses are remembered. The one not looked up for longest goes first."""

_names: OrderedDict[str, str] = OrderedDict()


def note(name: str, addresses: Iterable[str]) -> None:
    """Remember that `name` has these addresses."""
    for address in addresses:
        address = unmapped(address)
        _names[address] = name
        _names.move_to_end(address)
    while len(_names) > MOST:
        _names.popitem(last=False)


def find(address: str) -> str | None:
    """The name that an address was last looked up under, or None."""
    return _names.get(unmapped(address))
