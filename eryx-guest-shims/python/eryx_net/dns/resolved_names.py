"""A reverse cache from addresses to the names this program resolved them from.

`gethostbyaddr` and `getnameinfo` use it, as Eryx offers no reverse lookup.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ..addresses import unmapped

CAPACITY = 512
"""The number of cached addresses. The least recently resolved one is evicted first."""

_names: OrderedDict[str, str] = OrderedDict()


def insert(name: str, addresses: Iterable[str]) -> None:
    """Records that `name` has these addresses."""
    for address in addresses:
        address = unmapped(address)
        _names[address] = name
        _names.move_to_end(address)
    while len(_names) > CAPACITY:
        _names.popitem(last=False)


def find(address: str) -> str | None:
    """Returns the name that `address` was last resolved from, or None."""
    return _names.get(unmapped(address))
