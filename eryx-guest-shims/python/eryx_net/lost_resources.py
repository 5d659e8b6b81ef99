"""The resources of the host that a fork of a session does not have: connections, lookups, calls.

The objects that hold one get a stand-in, which answers as after a failure of the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import host
from .call_descriptor import Call
from .dns.lookup_descriptor import Lookup
from .errors import os_error
from .sockets.connection import Connection
from .sockets.udp_socket import UdpSocket
from .tls.backends import BioBackend


def reset(objects: Iterable[Any]) -> None:
    """Replaces the resources that `objects` hold."""
    interfaces = host.interfaces()
    owners = (Connection, UdpSocket, Lookup, BioBackend, Call)
    resources = (
        interfaces.tcp.Connection,
        interfaces.udp.Socket,
        interfaces.resolver.Lookup,
        interfaces.tls.Session,
    )
    for each in objects:
        # `isinstance` would read `__class__`, which is code of the program for some objects.
        kind = type(each)
        if kind in owners:
            each.lose_resource()
        elif kind is interfaces.functions.Call:
            # Others than its descriptor may hold it.
            each.__exit__(None, None, None)
            each.finish = _raise_reset
        elif kind in resources and getattr(each, "handle", None) is not None:
            each.__exit__(None, None, None)


def _raise_reset(timeout: int | None) -> bytes:
    raise os_error("ECONNRESET", "the call was begun before the session was forked")
