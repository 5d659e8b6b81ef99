"""A UDP socket: the host's, and what passes between sockets of the same guest."""

from __future__ import annotations

from . import host, mailbox, names, ports
from .addresses import is_loopback, unmapped
from .descriptors import Description
from .failures import failure, lookup_failure
from .host import HostSocket
from .loopback import wait_in_vain
from .mailbox import Datagram, Mailbox
from .ports import Binding
from .socket_constants import AF_INET, EAI_ADDRFAMILY, IPPROTO_UDP, SHUT_RD, SHUT_WR, SOCK_DGRAM
from .socket_options import Options

Address = tuple[str, int]

LARGEST = 65507
"""The most bytes a datagram carries over IPv4 (RFC 768)."""

LARGEST_V6 = 65527
"""The most over IPv6."""


class DatagramSocket(Description):
    """A UDP socket: unbound, then perhaps bound, then perhaps with one peer.

    Datagrams between two sockets of the guest stay in its memory. All others are the host's, which
    judges whom they go to and drops what nobody asked for.
    """

    __slots__ = (
        "_ended",
        "_hears_host",
        "_refused",
        "_resource",
        "_unread",
        "binding",
        "family",
        "mailbox",
        "options",
        "proto",
    )

    kind = SOCK_DGRAM
    listener = None
    channel = None

    def __init__(self, family: int, proto: int = 0) -> None:
        super().__init__()
        self.family = family
        self.proto = proto
        self.options = Options()
        self.binding: Binding | None = None
        self.mailbox = Mailbox()
        self._resource: HostSocket = host.datagrams("IPV4" if family == AF_INET else "IPV6")
        # Whether anything may come from the host: nothing does before something was sent.
        self._hears_host = False
        self._refused = False
        self._ended = 0
        self._unread: Datagram | None = None

    # Addresses.

    def bind(self, address: str, port: int) -> None:
        """Take a port of the host's choice, or a loopback address and port inside the guest."""
        if self.binding is not None or self.mailbox.peer is not None:
            raise failure("EINVAL")
        if address in ports.WILDCARDS:
            if port:
                raise failure(
                    "EADDRNOTAVAIL",
                    f"the host chooses the port of a datagram socket: bind to port 0, not to "
                    f"{port}, or to a loopback address for datagrams inside this program",
                )
        elif not is_loopback(address):
            raise failure("EADDRNOTAVAIL")
        self._hold(address, port)

    def _hold(self, address: str, port: int) -> None:
        chosen = port != 0
        if not chosen:
            # One number for both sides, so that a peer outside and one inside see the same.
            port = host.within_limits(self._resource.bind).port
        self.binding = ports.UDP.bind(
            address,
            port,
            chosen=chosen,
            reusable=self.options.reuse_address,
            v6only=self.options.v6only,
        )
        self.binding.mailbox = self.mailbox

    def _bound(self) -> Binding:
        if self.binding is None:
            self._hold("0.0.0.0" if self.family == AF_INET else "::", 0)
        assert self.binding is not None  # held above
        return self.binding

    def local(self) -> Address | None:
        """This side's address, None before there is one."""
        if self._hears_host and not (self.binding and self.binding.chosen):
            self._bound()
            end = host.call(self._resource.local_endpoint)
            return end.address, end.port
        if self.binding is None:
            return None
        address = self.binding.address
        if self.mailbox.peer is not None:
            return mailbox.source(address, self.binding.port, self.mailbox.peer[0])
        return address, self.binding.port

    def peer(self) -> Address:
        """The peer's address. Raises OSError(ENOTCONN)."""
        if self.mailbox.peer is None:
            raise failure("ENOTCONN")
        return self.mailbox.peer

    def _target(self, name: str, port: int) -> str:
        """The address of a destination. Raises gaierror, or PermissionError for a name the policy
        does not allow.
        """
        family = names.literal_family(name)
        if family is None:
            name = names.getaddrinfo(name, port, self.family, SOCK_DGRAM)[0][4][0]
        elif family != self.family:
            raise lookup_failure(EAI_ADDRFAMILY)
        return unmapped(name)

    def _inside(self, target: str, port: int) -> tuple[Mailbox, str] | None:
        """The socket of the guest at that address, and the address it is meant by."""
        if target in ports.WILDCARDS:
            target = "::1" if target == "::" else "127.0.0.1"
        if not is_loopback(target):
            return None
        found = ports.UDP.mailbox(target, port)
        return None if found is None else (found, target)

    def _check_source(self) -> None:
        binding = self.binding
        if binding is not None and binding.chosen:
            raise failure(
                "EADDRNOTAVAIL",
                f"the host chooses the port of a datagram socket, and this one is bound to port "
                f"{binding.port}: it can send to sockets of this program only",
            )

    def connect(self, name: str, port: int, timeout: int | None) -> None:
        """Choose the one peer. The host's policy decides, and nothing is sent."""
        target = self._target(name, port)
        inside = self._inside(target, port)
        if inside is None:
            self._check_source()
            host.within_limits(self._resource.connect, target, port)
            self._hears_host = True
            self.mailbox.peer = (target, port)
        else:
            self._bound()
            self._hears_host = False
            self.mailbox.peer = (inside[1], port)
        self._refused = False
        self.mailbox.empty()

    # Sending.

    def send(self, data: bytes, timeout: int | None) -> int:
        """Send to the peer; returns how many bytes that were."""
        peer = self.mailbox.peer
        if peer is None:
            raise failure("EDESTADDRREQ")
        self._check_sending(data)
        inside = self._inside(*peer)
        if inside is not None:
            return self._deliver(data, *inside)
        if self._hears_host:
            host.call(self._resource.send, data, timeout)
        else:
            # Its socket in the guest is gone, which the next operation is told.
            self._refused = True
        return len(data)

    def send_to(self, data: bytes, name: str, port: int, timeout: int | None) -> int:
        """Send to a name or address; returns how many bytes that were."""
        self._check_sending(data)
        if port == 0:
            raise failure("EINVAL")
        target = self._target(name, port)
        inside = self._inside(target, port)
        if inside is not None:
            return self._deliver(data, *inside)
        self._check_source()
        host.within_limits(self._resource.send_to, data, target, port, timeout)
        self._hears_host = True
        return len(data)

    def _check_sending(self, data: bytes) -> None:
        if self._ended & _SENDING:
            raise failure("EPIPE")
        if self._refused:
            raise self._refusal()
        if len(data) > (LARGEST if self.family == AF_INET else LARGEST_V6):
            raise failure("EMSGSIZE")

    def _deliver(self, data: bytes, to: Mailbox, target: str) -> int:
        binding = self._bound()
        to.put(bytes(data), mailbox.source(binding.address, binding.port, target))
        return len(data)

    # Receiving.

    def receive(self, size: int, timeout: int | None) -> Datagram:
        """The next datagram, cut to `size` bytes."""
        datagram = self._unread
        self._unread = None
        if datagram is None:
            datagram = self._next(size, timeout)
        return datagram._replace(data=datagram.data[:size])

    def peek(self, size: int, timeout: int | None) -> Datagram:
        """Like `receive`, but the datagram stays."""
        if self._unread is None:
            self._unread = self._next(LARGEST_V6, timeout)
        return self._unread._replace(data=self._unread.data[:size])

    def _next(self, size: int, timeout: int | None) -> Datagram:
        if self._refused:
            raise self._refusal()
        if self.mailbox.waiting:
            return self.mailbox.take()
        if self._ended & _RECEIVING:
            return Datagram(b"", 0, self.mailbox.peer or ("", 0))
        if not self._hears_host:
            raise wait_in_vain(timeout, "receiving")
        found = host.call(self._resource.receive, min(size, LARGEST_V6), timeout)
        return Datagram(found.data, found.size, (found.source.address, found.source.port))

    def readable_now(self) -> bool | None:
        """True if known without asking the host, None if it has to be asked."""
        if self.mailbox.waiting or self._unread or self._refused or self._ended & _RECEIVING:
            return True
        return None if self._hears_host else False

    def writable_now(self) -> bool | None:
        """True if known without asking the host, None if it has to be asked."""
        return None if self._hears_host and not self._refused else True

    @property
    def resource(self) -> HostSocket:
        """The host's side."""
        return self._resource

    # Ends.

    def shutdown(self, how: int) -> None:
        """End receiving, sending or both, where there is a peer."""
        self.peer()
        if how != SHUT_WR:
            self._ended |= _RECEIVING
        if how != SHUT_RD:
            self._ended |= _SENDING

    def take_error(self) -> int:
        """What went wrong since the last operation, as an error number; 0 for nothing."""
        return (self._refusal().errno or 0) if self._refused else 0

    def _refusal(self) -> OSError:
        self._refused = False
        return failure("ECONNREFUSED")

    def close(self) -> None:
        """Give everything back: the host's socket, and the port."""
        self._resource.__exit__(None, None, None)
        if self.binding is not None:
            ports.UDP.release(self.binding)


_RECEIVING = 1
_SENDING = 2


def check_protocol(proto: int) -> None:
    """Raise what Linux raises for a datagram socket of another protocol than UDP."""
    if proto not in (0, IPPROTO_UDP):
        raise failure("EPROTONOSUPPORT")
