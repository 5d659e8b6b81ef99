"""The ports bound inside the guest, those of TCP and those of UDP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .addresses import unmapped
from .failures import failure

if TYPE_CHECKING:
    from .loopback import Listener
    from .mailbox import Mailbox

EPHEMERAL = range(49152, 65536)
"""Ports given to sockets that ask for none (RFC 6335, section 6)."""

WILDCARDS = ("0.0.0.0", "::")


class Binding:
    """An address and port one socket holds."""

    __slots__ = ("address", "chosen", "listener", "mailbox", "port", "reusable", "v6only")

    def __init__(
        self, address: str, port: int, *, chosen: bool, reusable: bool, v6only: bool
    ) -> None:
        self.address = address
        self.chosen = chosen
        """Whether the program named the port."""
        self.port = port
        self.reusable = reusable
        self.v6only = v6only
        self.listener: Listener | None = None
        self.mailbox: Mailbox | None = None

    def covers(self, address: str) -> bool:
        """Whether what is for `address` would come here."""
        if self.address == "::":
            return not self.v6only or ":" in address
        if self.address == "0.0.0.0":
            return ":" not in address
        return self.address == address


class Ports:
    """The ports of one protocol."""

    __slots__ = ("_bindings", "_next")

    def __init__(self) -> None:
        self._bindings: dict[int, list[Binding]] = {}
        self._next = EPHEMERAL.start

    def bind(
        self, address: str, port: int, *, chosen: bool | None = None, reusable: bool, v6only: bool
    ) -> Binding:
        """Hold a port, any free one for 0. Raises OSError(EADDRINUSE)."""
        binding = Binding(
            unmapped(address),
            port or self.free(),
            chosen=port != 0 if chosen is None else chosen,
            reusable=reusable,
            v6only=v6only,
        )
        others = self._bindings.setdefault(binding.port, [])
        for other in others:
            overlap = other.covers(binding.address) or binding.covers(other.address)
            # As on Linux: sockets that both say so share a port as long as none of them listens.
            if overlap and not (reusable and other.reusable and other.listener is None):
                raise failure("EADDRINUSE")
        others.append(binding)
        return binding

    def listen(self, binding: Binding, listener: Listener) -> None:
        """Begin to listen on a held port. Raises OSError(EADDRINUSE) when another socket does."""
        for other in self._bindings.get(binding.port, ()):
            overlap = other.covers(binding.address) or binding.covers(other.address)
            if other is not binding and other.listener is not None and overlap:
                raise failure("EADDRINUSE")
        binding.listener = listener

    def free(self) -> int:
        """A port nobody holds. Raises OSError(EADDRINUSE) when there is none."""
        for _ in EPHEMERAL:
            port = self._next
            self._next = port + 1 if port + 1 in EPHEMERAL else EPHEMERAL.start
            if not self._bindings.get(port):
                return port
        raise failure("EADDRINUSE")

    def release(self, binding: Binding) -> None:
        """Give a port back."""
        others = self._bindings.get(binding.port, [])
        if binding in others:
            others.remove(binding)
        if not others:
            self._bindings.pop(binding.port, None)

    def in_use(self) -> bool:
        """Whether any port is held."""
        return bool(self._bindings)

    def listener(self, address: str, port: int) -> Listener | None:
        """Who listens on a loopback address and port, the most specific first."""
        found = self._covering(address, port)
        return next((one.listener for one in found if one.listener is not None), None)

    def mailbox(self, address: str, port: int) -> Mailbox | None:
        """Where datagrams for a loopback address and port go, the most specific first."""
        found = self._covering(address, port)
        return next((one.mailbox for one in found if one.mailbox is not None), None)

    def _covering(self, address: str, port: int) -> list[Binding]:
        address = unmapped(address)
        found = [one for one in self._bindings.get(port, ()) if one.covers(address)]
        found.sort(key=lambda binding: binding.address in WILDCARDS)
        return found


TCP = Ports()
UDP = Ports()
