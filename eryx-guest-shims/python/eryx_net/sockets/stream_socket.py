"""Stream sockets: the open file descriptions of TCP sockets and socket pairs."""

from __future__ import annotations

from typing import Protocol

from ..addresses import UNSPECIFIED, WILDCARDS, is_loopback
from ..descriptors import Description
from ..destination import Destination
from ..dns.name_functions import address_infos
from ..errors import os_error
from ..host import NON_BLOCKING
from ..loopback.port_table import TCP, Binding
from ..loopback.stream import Listener, pair, would_deadlock
from ..socket_constants import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    IPPROTO_TCP,
    SOCK_STREAM,
)
from .connection import Connection
from .options import Options, TimeLimits

Address = tuple[str, int]


class Channel(Protocol):
    """The transport of a connected socket. Timeouts are in nanoseconds; None waits for ever."""

    time_limits: TimeLimits | None

    def read(self, size: int, timeout: int | None) -> bytes: ...
    def peek(self, size: int, timeout: int | None) -> bytes: ...
    def write(self, data: bytes, timeout: int | None) -> int: ...
    def shutdown(self, how: int) -> None: ...
    def local_address(self) -> tuple[str, int] | None: ...
    def peer_address(self) -> tuple[str, int] | None: ...
    def set_option(self, name: str, value: int) -> None: ...
    def readable_now(self) -> bool | None: ...
    def writable_now(self) -> bool | None: ...
    def hung_up(self) -> bool: ...
    def status(self) -> int: ...
    def take_error(self) -> int: ...
    def close(self) -> None: ...


class StreamSocket(Description):
    """A TCP socket, or one end of a socket pair.

    Its states: unconnected, then optionally bound; then either listening (inside the sandbox only),
    or connecting and then connected. `channel` is set once it starts to connect.
    """

    __slots__ = (
        "_acknowledged",
        "binding",
        "channel",
        "connect_failed",
        "family",
        "listener",
        "options",
        "proto",
    )

    kind = SOCK_STREAM

    def __init__(self, family: int, proto: int = 0, channel: Channel | None = None) -> None:
        super().__init__()
        self.family = family
        self.proto = proto
        self.channel = channel
        self.listener: Listener | None = None
        self.binding: Binding | None = None
        self.options = Options(family, SOCK_STREAM)
        # Whether the program knows the outcome of a non-blocking connect: a later call of `connect`
        # or SO_ERROR reports it once (POSIX connect).
        self._acknowledged = channel is not None
        # Whether the last connect failed: such a socket is readable, at the end of its stream.
        self.connect_failed = False

    def connect(self, destination: Destination, port: int, timeout: int | None) -> None:
        """Connects within `timeout` nanoseconds.

        Raises the errors of `connect(2)`, and gaierror for a name that does not resolve.
        """
        if self.listener is not None:
            raise os_error("EISCONN")
        if self.channel is not None:
            if destination.family is None and not destination.loopback:
                # CPython resolves the name first.
                address_infos(destination.host, port, self.family, SOCK_STREAM)
            self._continue_connect(timeout)
            return
        self.connect_failed = False
        if TCP.in_use():
            channel = self._connect_in_guest(destination, port)
            if channel is not None:
                for option, value in self.options.host_options():
                    channel.set_option(option, value)
                self.channel = channel
                self.update_time_limits()
                self._acknowledged = True
                return
        if self.binding is not None:
            self._check_source(self.binding, destination)
        connection = Connection(destination.host, port)
        for option, value in self.options.host_options():
            connection.set_option(option, value)
        self.channel = connection
        if not self.blocking or self.options.time_limits is not None:
            self.update_time_limits()
        try:
            connection.finish_connect(timeout)
        except BlockingIOError:
            raise os_error("EINPROGRESS") from None
        except (ConnectionRefusedError, ConnectionResetError):
            if timeout != NON_BLOCKING:
                self._fail_connect()
                raise
            # On Linux, `connect` without blocking returns before the peer has answered, and
            # SO_ERROR has the error.
            raise os_error("EINPROGRESS") from None
        except BaseException:
            # A failed blocking connect leaves the socket unconnected, and must not leave the
            # host's connection open.
            self._fail_connect()
            raise
        self._acknowledged = True

    def _fail_connect(self) -> None:
        self._close_channel()
        self.connect_failed = True

    def _continue_connect(self, timeout: int | None) -> None:
        channel = self.channel
        if self._acknowledged or not isinstance(channel, Connection):
            raise os_error("EISCONN")
        try:
            channel.finish_connect(timeout)
        except BlockingIOError:
            raise os_error("EALREADY") from None
        except BaseException:
            self._fail_connect()
            raise
        self._acknowledged = True

    def _connect_in_guest(self, destination: Destination, port: int) -> Channel | None:
        """Connects to a listener of this program. Returns None if none listens there."""
        address = destination.guest_address(self.family)
        if address is None:
            return None
        listener = TCP.listener(address, port)
        if listener is None:
            return None
        source = (address, self.binding.port if self.binding else TCP.free_port())
        return listener.connect(source, (address, port))

    def _check_source(self, binding: Binding, destination: Destination) -> None:
        # The machine, too, connects from a loopback address to a loopback address.
        inside = is_loopback(binding.address) and destination.loopback
        if binding.chosen or not (inside or binding.address in WILDCARDS):
            raise os_error(
                "EADDRNOTAVAIL",
                f"the machine chooses the source address of a connection: bind to any address, "
                f"port 0, not to {binding.address} port {binding.port}",
            )

    def bind(self, address: str, port: int) -> None:
        """Binds to an address of this machine and a port, inside the sandbox."""
        if self.binding is not None or self.channel is not None:
            raise os_error("EINVAL")
        if address not in WILDCARDS and not is_loopback(address):
            raise os_error("EADDRNOTAVAIL")
        self.binding = TCP.bind(
            address,
            port,
            reusable=self.options.reuse_address,
            v6only=self.options.v6only,
            reuse_port=self.options.reuse_port,
        )

    def listen(self, backlog: int) -> None:
        """Listens for connections of this program. Peers outside cannot connect."""
        if self.family == AF_UNIX:
            raise os_error("EOPNOTSUPP")
        if self.channel is not None:
            raise os_error("EINVAL")
        if self.listener is not None:
            self.listener.backlog = backlog
            return
        if self.binding is None:
            self.bind(UNSPECIFIED[self.family], 0)
        assert self.binding is not None  # bound above
        self.listener = Listener((self.binding.address, self.binding.port), backlog)
        TCP.listen(self.binding, self.listener)

    def stop_listening(self) -> None:
        """Resets the connections that were not accepted; the socket is then unconnected."""
        assert self.listener is not None  # checked by the caller
        self.listener.close()
        self.listener = None
        if self.binding is not None:
            self.binding.listener = None

    def accept(self, timeout: int | None) -> StreamSocket:
        """Returns the next connection to this listening socket."""
        if self.listener is None:
            raise os_error("EINVAL")
        limits = self.options.time_limits
        if timeout is None and limits is not None and limits.receive is not None:
            timeout = limits.receive
        if not self.blocking and timeout is None:
            timeout = NON_BLOCKING
        accepted = StreamSocket(self.family, self.proto, self.listener.accept(timeout))
        accepted.options = self.options.copy()
        for option, value in accepted.options.host_options():
            accepted.connected().set_option(option, value)
        if limits is not None:
            accepted.update_time_limits()
        return accepted

    def wait_as_listener(self, timeout: int | None) -> None:
        """Waits as CPython does before it transfers bytes on a listening socket with a timeout.

        Raises TimeoutError, and OSError(EDEADLK) without a timeout.
        """
        if timeout and not (self.listener and self.listener.queue):
            raise would_deadlock(timeout, "transferring")

    def connected(self) -> Channel:
        """Returns the channel. Raises OSError(ENOTCONN) if there is none."""
        if self.channel is None:
            raise os_error("ENOTCONN")
        return self.channel

    def take_error(self) -> int:
        """Returns the pending error number (SO_ERROR): that of a non-blocking connect, or 0."""
        channel = self.channel
        if channel is None:
            return 0
        if self._acknowledged or not isinstance(channel, Connection):
            return channel.take_error()
        try:
            channel.finish_connect(NON_BLOCKING)
        except BlockingIOError:
            return 0
        except OSError as error:
            was_returned = channel.error_was_returned()
            self._fail_connect()
            if was_returned:
                return 0
            # A name that did not resolve has no error number.
            number = error.errno if error.errno is not None and error.errno > 0 else None
            return number or os_error("EHOSTUNREACH").errno or 0
        return 0

    def update_time_limits(self) -> None:
        """Passes the limits on waiting on to the channel."""
        if self.channel is not None:
            limits = self.options.time_limits
            self.channel.time_limits = limits if self.blocking else TimeLimits(0, 0)

    def local_address(self) -> Address | None:
        """Returns the local address, None before there is one."""
        address = self.channel.local_address() if self.channel is not None else None
        if address is None and self.binding is not None:
            address = (self.binding.address, self.binding.port)
        return address

    def peer_address(self) -> Address | None:
        """Returns the peer's address. Raises OSError(ENOTCONN)."""
        address = self.connected().peer_address()
        if address is None and self.family != AF_UNIX:
            raise os_error("ENOTCONN")
        return address

    def _close_channel(self) -> None:
        channel, self.channel = self.channel, None
        self._acknowledged = False
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """Closes the connection, resets those not yet accepted, and releases the port."""
        self._close_channel()
        if self.listener is not None:
            self.listener.close()
        if self.binding is not None:
            TCP.release(self.binding)


def check_supported(family: int, kind: int, proto: int) -> None:
    """Raises Linux's error for an unsupported kind of socket: none silently becomes TCP."""
    if family not in (AF_INET, AF_INET6, AF_UNIX):
        raise os_error("EAFNOSUPPORT")
    if family == AF_UNIX:
        # Named sockets need a file system. `socket_pair` makes socket pairs.
        raise os_error(
            "EAFNOSUPPORT", "Unix sockets exist only as socket.socketpair() in a sandbox"
        )
    if kind == SOCK_STREAM and proto in (0, IPPROTO_TCP):
        return
    if kind == 3:  # SOCK_RAW
        raise os_error("EPERM", "raw sockets are not available in a sandbox")
    raise os_error("EPROTONOSUPPORT")


def socket_pair() -> tuple[StreamSocket, StreamSocket]:
    """Returns two connected Unix sockets in guest memory."""
    first, second = pair()
    return StreamSocket(AF_UNIX, 0, first), StreamSocket(AF_UNIX, 0, second)
