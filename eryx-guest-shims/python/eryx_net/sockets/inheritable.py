"""The inheritable flag of a socket's descriptor (PEP 446), which has no effect in a sandbox.

`socket.get_inheritable` calls `os.get_inheritable`, which knows only WASI's descriptors.
"""

from __future__ import annotations

import os
from typing import Any

from .. import descriptors

_inheritable: set[int] = set()

# WASI's `os` lacks both functions if it lacks fcntl.
_stock_get: Any = getattr(os, "get_inheritable", None)
_stock_set: Any = getattr(os, "set_inheritable", None)


def get_inheritable(fd: int, /) -> bool:
    """Returns whether `fd` is inheritable."""
    if descriptors.find(fd) is not None:
        return fd in _inheritable
    return bool(_stock_get(fd))


def set_inheritable(fd: int, inheritable: int, /) -> None:
    """Sets whether `fd` is inheritable."""
    if descriptors.find(fd) is None:
        _stock_set(fd, inheritable)
    elif inheritable:
        # Numbers are never reused, so those of closed sockets can be removed at any time.
        _inheritable.intersection_update(
            {open_fd for open_fd in _inheritable if descriptors.find(open_fd)}
        )
        _inheritable.add(fd)
    else:
        _inheritable.discard(fd)


def install() -> None:
    """Replaces the functions of `os` by ones that know the descriptors of sockets."""
    os.get_inheritable = get_inheritable
    os.set_inheritable = set_inheritable
