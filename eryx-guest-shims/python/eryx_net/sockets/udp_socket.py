"""UDP sockets: the host's, and datagrams between two sockets of the same program."""

from __future__ import annotations

import contextlib

from .. import host
from ..addresses import UNSPECIFIED, WILDCARDS, is_loopback, unmapped
from ..descriptors import Description
from ..destination import Destination, parse
from ..dns.name_functions import address_infos
from ..errors import error_number, os_error
from ..host import HostSocket
from ..loopback.datagram_queue import Datagram, DatagramQueue, source_address
from ..loopback.port_table import UDP, Binding
from ..loopback.stream import wait_for_timer, would_deadlock
from ..socket_constants import AF_INET, IPPROTO_UDP, SHUT_RD, SHUT_WR, SOCK_DGRAM
from .options import Options

Address = tuple[str, int]

LARGEST_V4 = 65507
"""The largest payload of a datagram over IPv4 in bytes (RFC 768)."""

LARGEST_V6 = 65527
"""The largest payload of a datagram over IPv6 in bytes."""


class UdpSocket(Description):
    """A UDP socket: unbound, then optionally bound, then optionally connected to one peer.

    Datagrams between two sockets of the program stay in guest memory. The host sends all others,
    subject to the policy, and drops unsolicited datagrams.
    """

    __slots__ = (
        "_refused",
        "_resource",
        "_shut_down",
        "_unread",
        "_uses_host",
        "binding",
        "family",
        "options",
        "proto",
        "queue",
    )

    kind = SOCK_DGRAM
    listener = None
    channel = None

    def __init__(self, family: int, proto: int = 0) -> None:
        super().__init__()
        self.family = family
        self.proto = proto
        self.options = Options(family, SOCK_DGRAM)
        self.binding: Binding | None = None
        self.queue = DatagramQueue()
        self._resource: HostSocket = host.udp_socket("IPV4" if family == AF_INET else "IPV6")
        # Whether the host may have datagrams for this socket: never before it sent or connected.
        self._uses_host = False
        # Whether the peer's socket inside the sandbox is closed: the next operation reports it.
        self._refused = False
        # The directions that were shut down.
        self._shut_down = 0
        self._unread: Datagram | None = None

    # Addresses.

    def bind(self, address: str, port: int) -> None:
        """Binds to a port that the machine chooses, or to a loopback address inside the sandbox."""
        if self.binding is not None or self.queue.peer is not None:
            raise os_error("EINVAL")
        if address in WILDCARDS:
            if port:
                raise os_error(
                    "EADDRNOTAVAIL",
                    f"the machine chooses the port of a datagram socket: bind to port 0, not to "
                    f"{port}, or to a loopback address for datagrams inside this program",
                )
        elif not is_loopback(address):
            raise os_error("EADDRNOTAVAIL")
        self._bind(address, port)

    def _bind(self, address: str, port: int) -> None:
        chosen = port != 0
        if not chosen and self._resource is not host.LOST:
            # The same number on the machine and inside, so that all peers see the same port.
            port = host.call_with_gc_retry(self._resource.bind).port
        self.binding = UDP.bind(
            address,
            port,
            chosen=chosen,
            reusable=self.options.reuse_address,
            reuse_port=self.options.reuse_port,
            v6only=self.options.v6only,
        )
        self.binding.datagram_queue = self.queue

    def _ensure_bound(self) -> Binding:
        if self.binding is None:
            self._bind(UNSPECIFIED[self.family], 0)
        assert self.binding is not None  # bound above
        return self.binding

    def local_address(self) -> Address | None:
        """Returns the local address, None before there is one."""
        binding = self.binding
        if binding is not None and binding.address not in WILDCARDS:
            return binding.address, binding.port
        if self._uses_host and not (binding and binding.chosen):
            self._ensure_bound()
            endpoint = host.call(self._resource.local_endpoint)
            return endpoint.address, endpoint.port
        if self.binding is None:
            return None
        address = self.binding.address
        if self.queue.peer is not None:
            return source_address(address, self.binding.port, self.queue.peer[0])
        return address, self.binding.port

    def peer_address(self) -> Address:
        """Returns the peer's address. Raises OSError(ENOTCONN)."""
        if self.queue.peer is None:
            raise os_error("ENOTCONN")
        return self.queue.peer

    def _resolve(self, destination: Destination, port: int) -> str:
        """Returns the address of a destination.

        Raises gaierror, and PermissionError for a name that the policy denies.
        """
        address = destination.host
        if destination.family is None:
            address = address_infos(address, port, self.family, SOCK_DGRAM)[0][4][0]
        return unmapped(address)

    def _find_in_guest(self, address: str, port: int) -> tuple[DatagramQueue, str] | None:
        """Returns the queue of a socket of this program at an address, and its loopback address."""
        target = parse(address).guest_address(self.family)
        if target is None:
            return None
        queue = UDP.datagram_queue(target, port)
        return None if queue is None else (queue, target)

    def _check_source(self) -> None:
        binding = self.binding
        if binding is not None and binding.chosen:
            raise os_error(
                "EADDRNOTAVAIL",
                f"the machine chooses the port of a datagram socket, and this one is bound to "
                f"port {binding.port}: it can send to sockets of this program only",
            )

    def connect(self, destination: Destination, port: int, timeout: int | None) -> None:
        """Sets the only peer. Subject to the policy; sends nothing."""
        address = self._resolve(destination, port)
        in_guest = self._find_in_guest(address, port)
        if in_guest is None:
            self._check_source()
            host.call_with_gc_retry(self._resource.connect, address, port)
            self._uses_host = True
            self.queue.peer = (address, port)
        else:
            self._ensure_bound()
            self._uses_host = False
            self.queue.peer = (in_guest[1], port)
        self._refused = False
        self.queue.clear()

    # Sending.

    def send(self, data: bytes, timeout: int | None) -> int:
        """Sends to the peer; returns the number of bytes."""
        peer = self.queue.peer
        if peer is None:
            # Linux binds the socket before it looks for a peer.
            with contextlib.suppress(OSError):
                self._ensure_bound()
            raise os_error("EDESTADDRREQ")
        self._check_sending(data)
        in_guest = self._find_in_guest(*peer)
        if in_guest is not None:
            return self._deliver(data, *in_guest)
        if self._uses_host:
            host.call(self._resource.send, data, timeout)
        else:
            # The peer's socket inside the sandbox is closed.
            self._refused = True
        return len(data)

    def send_to(self, data: bytes, destination: Destination, port: int, timeout: int | None) -> int:
        """Sends to a name or address; returns the number of bytes."""
        self._check_sending(data)
        if port == 0:
            raise os_error("EINVAL")
        address = self._resolve(destination, port)
        in_guest = self._find_in_guest(address, port)
        if in_guest is not None:
            if self._uses_host and self._resource is not host.LOST:
                # Whatever is sent next reports that an earlier datagram was refused.
                host.call(self._resource.take_error)
            return self._deliver(data, *in_guest)
        self._check_source()
        host.call_with_gc_retry(self._resource.send_to, data, address, port, timeout)
        self._uses_host = True
        return len(data)

    def _check_sending(self, data: bytes) -> None:
        if self._shut_down & _SENDING:
            raise os_error("EPIPE")
        if self._refused:
            raise self._take_refused_error()
        if len(data) > (LARGEST_V4 if self.family == AF_INET else LARGEST_V6):
            raise os_error("EMSGSIZE")

    def _deliver(self, data: bytes, queue: DatagramQueue, target: str) -> int:
        binding = self._ensure_bound()
        queue.put(bytes(data), source_address(binding.address, binding.port, target))
        return len(data)

    # Receiving.

    def receive(self, size: int, timeout: int | None) -> Datagram:
        """Returns the next datagram, truncated to `size` bytes."""
        datagram = self._unread
        self._unread = None
        if datagram is None:
            datagram = self._next_within_limit(size, timeout)
        return datagram._replace(data=datagram.data[:size])

    def peek(self, size: int, timeout: int | None) -> Datagram:
        """Like `receive`, but does not consume the datagram."""
        if self._unread is None:
            self._unread = self._next_within_limit(LARGEST_V6, timeout)
        return self._unread._replace(data=self._unread.data[:size])

    def _next_within_limit(self, size: int, timeout: int | None) -> Datagram:
        """Returns the next datagram, for a blocking socket within SO_RCVTIMEO."""
        if timeout is not None:
            return self._next(size, timeout)
        if not self.blocking:
            return self._next(size, host.NON_BLOCKING)
        limits = self.options.time_limits
        limit = None if limits is None else limits.receive
        if self._shut_down & _RECEIVING:
            # Linux waits for nothing then.
            limit = None
        try:
            return self._next(size, limit)
        except TimeoutError:
            if limit is None:
                raise
        raise os_error("EAGAIN")

    def _next(self, size: int, timeout: int | None) -> Datagram:
        if self._refused:
            raise self._take_refused_error()
        if self.queue.pending:
            return self.queue.take()
        if self._shut_down & _RECEIVING:
            if timeout is None:
                return Datagram(b"", 0, self.queue.peer or ("", 0))
            # Linux reports the socket readable, and has nothing to read.
            raise would_deadlock(timeout, "receiving")
        if not self._uses_host:
            wait_for_timer(timeout, "receiving")
            return self._next(size, timeout)
        received = host.call(self._resource.receive, min(size, LARGEST_V6), timeout)
        source = received.source
        return Datagram(received.data, received.size, (source.address, source.port))

    def readable_now(self) -> bool | None:
        """Returns whether a receive would not block, None if only the host knows."""
        if self.queue.pending or self._unread or self._refused or self._shut_down & _RECEIVING:
            return True
        if not self._uses_host:
            return False
        return True if self._resource is host.LOST else None

    def writable_now(self) -> bool | None:
        """Returns True if a send would not block, None if only the host knows."""
        if self._refused or not self._uses_host or self._resource is host.LOST:
            return True
        return None

    def hung_up(self) -> bool:
        """Returns whether both directions are shut down."""
        return self._shut_down == _RECEIVING | _SENDING

    def receiving_has_ended(self) -> bool:
        """Returns whether receiving is shut down."""
        return bool(self._shut_down & _RECEIVING)

    def lose_resource(self) -> None:
        """Makes every further exchange with peers outside fail with ECONNRESET."""
        self._resource = host.LOST

    @property
    def resource(self) -> HostSocket:
        """The socket of the host."""
        return self._resource

    # Shutdown and errors.

    def shutdown(self, how: int) -> None:
        """Shuts down receiving, sending or both. Raises OSError(ENOTCONN) without a peer."""
        # As on Linux, without a peer too.
        if how != SHUT_WR:
            self._shut_down |= _RECEIVING
        if how != SHUT_RD:
            self._shut_down |= _SENDING
        self.peer_address()

    def take_error(self) -> int:
        """Returns the pending error number (SO_ERROR), 0 for none."""
        if self._refused:
            return self._take_refused_error().errno or 0
        if self._uses_host:
            try:
                host.call(self._resource.take_error)
            except OSError as error:
                return error.errno or error_number("EIO")
        return 0

    def _take_refused_error(self) -> OSError:
        self._refused = False
        return os_error("ECONNREFUSED")

    def close(self) -> None:
        """Closes the host's socket and releases the port."""
        self._resource.__exit__(None, None, None)
        if self.binding is not None:
            UDP.release(self.binding)


_RECEIVING = 1
_SENDING = 2


def check_protocol(proto: int) -> None:
    """Raises Linux's error for a datagram socket of another protocol than UDP."""
    if proto not in (0, IPPROTO_UDP):
        raise os_error("EPROTONOSUPPORT")
