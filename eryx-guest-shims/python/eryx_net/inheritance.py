"""Whether a socket's descriptor is inheritable (PEP 446): a flag that nothing here passes on.

`socket.get_inheritable` asks `os`, which knows WASI's own descriptors alone.
"""

from __future__ import annotations

import os
from typing import Any

from . import descriptors

_inheritable: set[int] = set()

# WASI's os has neither where it has no fcntl.
_genuine_get: Any = getattr(os, "get_inheritable", None)
_genuine_set: Any = getattr(os, "set_inheritable", None)


def get_inheritable(fd: int, /) -> bool:
    """Whether `fd` is inheritable."""
    if descriptors.find(fd) is not None:
        return fd in _inheritable
    return bool(_genuine_get(fd))


def set_inheritable(fd: int, inheritable: int, /) -> None:
    """Set whether `fd` is inheritable."""
    if descriptors.find(fd) is None:
        _genuine_set(fd, inheritable)
    elif inheritable:
        # Numbers are not given out again, so those of closed sockets may go at any time.
        _inheritable.intersection_update({each for each in _inheritable if descriptors.find(each)})
        _inheritable.add(fd)
    else:
        _inheritable.discard(fd)


def install() -> None:
    """Have `os` know sockets, too."""
    os.get_inheritable = get_inheritable
    os.set_inheritable = set_inheritable
