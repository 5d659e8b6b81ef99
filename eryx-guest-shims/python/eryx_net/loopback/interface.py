"""The only network interface of a guest program: loopback."""

from __future__ import annotations

import os

from ..errors import os_error

_NAME = "lo"
_INDEX = 1


def if_nameindex() -> list[tuple[int, str]]:
    """Returns the index and the name of each network interface."""
    return [(_INDEX, _NAME)]


def if_nametoindex(oname: str | bytes, /) -> int:
    """Returns the index of an interface. Raises OSError for an unknown name."""
    if os.fsdecode(oname) == _NAME:
        return _INDEX
    raise OSError("no interface with this name")


def if_indextoname(if_index: int, /) -> str:
    """Returns the name of an interface. Raises OSError(ENXIO) for an unknown index."""
    if if_index < 0:
        raise OverflowError("can't convert negative value to unsigned int")
    if if_index >= 1 << 32:
        raise OverflowError("Python int too large to convert to C unsigned int")
    if if_index == _INDEX:
        return _NAME
    raise os_error("ENXIO")
