"""The interpreter's own network modules, kept before the shims take their names.

Import this before `eryx_net.install()`, then call `forget()`.
"""

import select
import socket
import ssl
import sys

__all__ = ["forget", "select", "socket", "ssl"]

_NAMES = ("_select", "_socket", "_ssl", "select", "selectors", "socket", "ssl")


def forget() -> None:
    """Let the next import of these modules start afresh."""
    for name in _NAMES:
        sys.modules.pop(name, None)
