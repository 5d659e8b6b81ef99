"""The port tables of a guest program: one for TCP, one for UDP."""

from __future__ import annotations

from ..addresses import WILDCARDS, unmapped
from ..errors import os_error
from .datagram_queue import DatagramQueue
from .stream import Listener

EPHEMERAL = range(49152, 65536)
"""The ports of sockets that bind to port 0 (RFC 6335, section 6)."""


class Binding:
    """The address and port that a socket is bound to."""

    __slots__ = (
        "address",
        "chosen",
        "datagram_queue",
        "listener",
        "port",
        "reusable",
        "reuse_port",
        "v6only",
    )

    def __init__(
        self,
        address: str,
        port: int,
        *,
        chosen: bool,
        reusable: bool,
        v6only: bool,
        reuse_port: bool = False,
    ) -> None:
        self.address = address
        self.chosen = chosen
        """Whether the program chose the port."""
        self.port = port
        self.reusable = reusable
        self.reuse_port = reuse_port
        self.v6only = v6only
        self.listener: Listener | None = None
        self.datagram_queue: DatagramQueue | None = None

    def covers(self, address: str) -> bool:
        """Returns whether this binding receives traffic for `address`."""
        if self.address == "::":
            return not self.v6only or ":" in address
        if self.address == "0.0.0.0":
            return ":" not in address
        return self.address == address


class PortTable:
    """The bound ports of one protocol."""

    __slots__ = ("_bindings", "_next")

    def __init__(self) -> None:
        self._bindings: dict[int, list[Binding]] = {}
        self._next = EPHEMERAL.start

    def bind(
        self,
        address: str,
        port: int,
        *,
        chosen: bool | None = None,
        reusable: bool,
        v6only: bool,
        reuse_port: bool = False,
    ) -> Binding:
        """Binds to a port, for 0 to any free one. Raises OSError(EADDRINUSE)."""
        binding = Binding(
            unmapped(address),
            port or self.free_port(),
            chosen=port != 0 if chosen is None else chosen,
            reusable=reusable,
            v6only=v6only,
            reuse_port=reuse_port,
        )
        others = self._bindings.setdefault(binding.port, [])
        for other in others:
            overlap = other.covers(binding.address) or binding.covers(other.address)
            # As on Linux, sockets with SO_REUSEADDR share a port as long as none of them listens.
            shared = reuse_port and other.reuse_port
            shared = shared or (reusable and other.reusable and other.listener is None)
            if overlap and not shared:
                raise os_error("EADDRINUSE")
        others.append(binding)
        return binding

    def listen(self, binding: Binding, listener: Listener) -> None:
        """Starts to listen on a bound port. Raises OSError(EADDRINUSE) if another listens."""
        for other in self._bindings.get(binding.port, ()):
            overlap = other.covers(binding.address) or binding.covers(other.address)
            shared = binding.reuse_port and other.reuse_port
            if other is not binding and other.listener is not None and overlap and not shared:
                raise os_error("EADDRINUSE")
        binding.listener = listener

    def free_port(self) -> int:
        """Returns an unbound ephemeral port. Raises OSError(EADDRINUSE) if there is none."""
        for _ in EPHEMERAL:
            port = self._next
            self._next = port + 1 if port + 1 in EPHEMERAL else EPHEMERAL.start
            if not self._bindings.get(port):
                return port
        raise os_error("EADDRINUSE")

    def release(self, binding: Binding) -> None:
        """Removes a binding."""
        others = self._bindings.get(binding.port, [])
        if binding in others:
            others.remove(binding)
        if not others:
            self._bindings.pop(binding.port, None)

    def in_use(self) -> bool:
        """Returns whether any port is bound."""
        return bool(self._bindings)

    def listener(self, address: str, port: int) -> Listener | None:
        """Returns the listener at a loopback address and port; the most specific one of several."""
        bindings = self._covering(address, port)
        return next((held.listener for held in bindings if held.listener is not None), None)

    def datagram_queue(self, address: str, port: int) -> DatagramQueue | None:
        """Returns the queue of the socket at a loopback address and port, like `listener`."""
        bindings = self._covering(address, port)
        queues = (held.datagram_queue for held in bindings)
        return next((queue for queue in queues if queue is not None), None)

    def _covering(self, address: str, port: int) -> list[Binding]:
        address = unmapped(address)
        covering = [held for held in self._bindings.get(port, ()) if held.covers(address)]
        covering.sort(key=lambda binding: binding.address in WILDCARDS)
        return covering


TCP = PortTable()
UDP = PortTable()
