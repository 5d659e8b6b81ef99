"""The interpreter's own network modules, imported before the shims replace them.

Import this before `eryx_net.install()`, then call `forget()`.
"""

import contextlib
import os
import select
import socket
import ssl
import sys

__all__ = ["forget", "select", "socket", "ssl", "system_pipes"]

_pipe = os.pipe

_NAMES = ("_select", "_socket", "_ssl", "select", "selectors", "socket", "ssl")


def forget() -> None:
    """Removes these modules from `sys.modules`, so that they are imported again."""
    for name in _NAMES:
        sys.modules.pop(name, None)


@contextlib.contextmanager
def system_pipes():
    """Sets `os.pipe` to that of the system, which `subprocess` needs."""
    replaced, os.pipe = os.pipe, _pipe
    try:
        yield
    finally:
        os.pipe = replaced
