"""The TCP ports bound inside the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import unmapped
from .failures import failure

if TYPE_CHECKING:
    from .loopback import Listener

EPHEMERAL = range(49152, 65536)
"""Ports given to sockets that ask for none (RFC 6335, section 6)."""

WILDCARDS = ("0.0.0.0", "::")


class Binding:
    """An address and port one socket holds."""

    __slots__ = ("address", "chosen", "listener", "port", "reusable", "v6only")

    def __init__(self, address: str, port: int, *, reusable: bool, v6only: bool) -> None:
        self.address = address
        self.chosen = port != 0
        """Whether the program named the port."""
        self.port = port or free()
        self.reusable = reusable
        self.v6only = v6only
        self.listener: Listener | None = None

    def covers(self, address: str) -> bool:
        """Whether a connection to `address` would come here."""
        if self.address == "::":
            return not self.v6only or ":" in address
        if self.address == "0.0.0.0":
            return ":" not in address
        return self.address == address


_bindings: dict[int, list[Binding]] = {}
_next = EPHEMERAL.start


def bind(address: str, port: int, *, reusable: bool, v6only: bool) -> Binding:
    """Hold a port, any free one for 0. Raises OSError(EADDRINUSE)."""
    address = unmapped(address)
    binding = Binding(address, port, reusable=reusable, v6only=v6only)
    others = _bindings.setdefault(binding.port, [])
    for other in others:
        overlap = other.covers(address) or binding.covers(other.address)
        # As on Linux: sockets that both say so share a port as long as none of them listens.
        if overlap and not (reusable and other.reusable and other.listener is None):
            raise failure("EADDRINUSE")
    others.append(binding)
    return binding


def listen(binding: Binding, listener: Listener) -> None:
    """Begin to listen on a held port. Raises OSError(EADDRINUSE) when another socket does."""
    for other in _bindings.get(binding.port, ()):
        overlap = other.covers(binding.address) or binding.covers(other.address)
        if other is not binding and other.listener is not None and overlap:
            raise failure("EADDRINUSE")
    binding.listener = listener


def free() -> int:
    """A port nobody holds. Raises OSError(EADDRINUSE) when there is none."""
    global _next
    for _ in EPHEMERAL:
        port = _next
        _next = port + 1 if port + 1 in EPHEMERAL else EPHEMERAL.start
        if not _bindings.get(port):
            return port
    raise failure("EADDRINUSE")


def release(binding: Binding) -> None:
    """Give a port back."""
    others = _bindings.get(binding.port, [])
    if binding in others:
        others.remove(binding)
    if not others:
        _bindings.pop(binding.port, None)


def listener(address: str, port: int) -> Listener | None:
    """Who listens on a loopback address and port, the most specific first."""
    address = unmapped(address)
    found = [
        binding
        for binding in _bindings.get(port, ())
        if binding.listener is not None and binding.covers(address)
    ]
    found.sort(key=lambda binding: binding.address in WILDCARDS)
    return found[0].listener if found else None
