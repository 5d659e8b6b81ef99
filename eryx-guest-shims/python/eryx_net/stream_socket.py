"""What a socket's descriptor refers to: its addresses, its options, and what it is connected to."""

from __future__ import annotations

from . import names, ports
from .addresses import is_loopback
from .connection import Connection
from .descriptors import Channel, Description
from .failures import failure, lookup_failure
from .host import AT_ONCE
from .loopback import Listener, pair
from .ports import Binding
from .socket_constants import AF_INET, AF_INET6, AF_UNIX, EAI_ADDRFAMILY, IPPROTO_TCP, SOCK_STREAM
from .socket_options import Options

Address = tuple[str, int]


class StreamSocket(Description):
    """A TCP socket, or one end of a socket pair.

    Unconnected, then perhaps bound; then either listening (in the guest alone), or connecting and
    connected. `channel` is set from connecting on.
    """

    __slots__ = ("_acknowledged", "binding", "channel", "family", "listener", "options", "proto")

    kind = SOCK_STREAM

    def __init__(self, family: int, proto: int = 0, channel: Channel | None = None) -> None:
        super().__init__()
        self.family = family
        self.proto = proto
        self.channel = channel
        self.listener: Listener | None = None
        self.binding: Binding | None = None
        self.options = Options()
        # A connect begun without blocking is confirmed to the program once (POSIX connect).
        self._acknowledged = channel is not None

    def connect(self, name: str, port: int, timeout: int | None) -> None:
        """Connect to a name or address. Raises as `connect(2)` does, or gaierror for the name."""
        if self.listener is not None:
            raise failure("EISCONN")
        if self.channel is not None:
            self._proceed(timeout)
            return
        family = names.literal_family(name)
        if family is not None and family != self.family:
            raise lookup_failure(EAI_ADDRFAMILY)
        channel = self._inside(name, port)
        if channel is not None:
            self.channel = channel
            self._acknowledged = True
            return
        self._check_source(name)
        outside = Connection(name, port)
        for option, value in self.options.real():
            outside.set_option(option, value)
        self.channel = outside
        try:
            outside.finish(timeout)
        except BlockingIOError:
            raise failure("EINPROGRESS") from None
        except BaseException:
            # A blocking connect that failed leaves the socket as it was; the host's side must not
            # linger.
            self._drop()
            raise
        self._acknowledged = True

    def _proceed(self, timeout: int | None) -> None:
        channel = self.channel
        if self._acknowledged or not isinstance(channel, Connection):
            raise failure("EISCONN")
        try:
            channel.finish(timeout)
        except BlockingIOError:
            raise failure("EALREADY") from None
        except BaseException:
            self._drop()
            raise
        self._acknowledged = True

    def _inside(self, name: str, port: int) -> Channel | None:
        """A connection to an in-guest listener, None if there is none at that address."""
        if not ports.TCP.in_use():
            return None
        targets = names.own_addresses(name, self.family) or [name]
        for target in targets:
            if target in ports.WILDCARDS:
                target = "127.0.0.1" if self.family == AF_INET else "::1"
            if not is_loopback(target):
                continue
            listener = ports.TCP.listener(target, port)
            if listener is not None:
                source = (target, self.binding.port if self.binding else ports.TCP.free())
                return listener.connect(source, (target, port))
        return None

    def _check_source(self, name: str) -> None:
        binding = self.binding
        if binding is None:
            return
        # From a loopback address to another one is what the host would choose, too.
        targets = names.own_addresses(name, self.family) or [name]
        inside = is_loopback(binding.address) and all(map(is_loopback, targets))
        if binding.chosen or not (inside or binding.address in ports.WILDCARDS):
            raise failure(
                "EADDRNOTAVAIL",
                f"the host chooses the source address of a connection: bind to any address, "
                f"port 0, not to {binding.address} port {binding.port}",
            )

    def bind(self, address: str, port: int) -> None:
        """Take an address of this machine and a port, in the guest."""
        if self.binding is not None or self.channel is not None:
            raise failure("EINVAL")
        if address not in ports.WILDCARDS and not is_loopback(address):
            raise failure("EADDRNOTAVAIL")
        self.binding = ports.TCP.bind(
            address, port, reusable=self.options.reuse_address, v6only=self.options.v6only
        )

    def listen(self, backlog: int) -> None:
        """Accept connections from inside the guest. Nothing outside can connect."""
        if self.family == AF_UNIX:
            raise failure("EOPNOTSUPP")
        if self.channel is not None:
            raise failure("EINVAL")
        if self.listener is not None:
            self.listener.backlog = backlog
            return
        if self.binding is None:
            self.bind("0.0.0.0" if self.family == AF_INET else "::", 0)
        assert self.binding is not None  # bound above
        self.listener = Listener((self.binding.address, self.binding.port), backlog)
        ports.TCP.listen(self.binding, self.listener)

    def accept(self, timeout: int | None) -> StreamSocket:
        """The next connection to this listening socket."""
        if self.listener is None:
            raise failure("EINVAL")
        accepted = StreamSocket(self.family, self.proto, self.listener.accept(timeout))
        accepted.options = self.options.inherited()
        return accepted

    def connected(self) -> Channel:
        """The channel. Raises OSError(ENOTCONN) when there is none."""
        if self.channel is None:
            raise failure("ENOTCONN")
        return self.channel

    def take_error(self) -> int:
        """The outcome of a connect begun without blocking, as an error number; 0 for none
        (SO_ERROR).
        """
        channel = self.channel
        if self._acknowledged or not isinstance(channel, Connection):
            return 0
        try:
            channel.finish(AT_ONCE)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._drop()
            # A name that did not resolve has no error number of its own.
            number = error.errno if error.errno is not None and error.errno > 0 else None
            return number or failure("EHOSTUNREACH").errno or 0
        return 0

    def local(self) -> Address | None:
        """This side's address, None before there is one."""
        found = self.channel.local() if self.channel is not None else None
        if found is None and self.binding is not None:
            found = (self.binding.address, self.binding.port)
        return found

    def peer(self) -> Address | None:
        """The peer's address. Raises OSError(ENOTCONN)."""
        found = self.connected().peer()
        if found is None and self.family != AF_UNIX:
            raise failure("ENOTCONN")
        return found

    def _drop(self) -> None:
        channel, self.channel = self.channel, None
        self._acknowledged = False
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """Give everything back: the connection, those waiting to be accepted, the port."""
        self._drop()
        if self.listener is not None:
            self.listener.close()
        if self.binding is not None:
            ports.TCP.release(self.binding)


def check_supported(family: int, kind: int, proto: int) -> None:
    """Raise what Linux raises for a socket it cannot make: nothing is silently turned into TCP."""
    if family not in (AF_INET, AF_INET6, AF_UNIX):
        raise failure("EAFNOSUPPORT")
    if family == AF_UNIX:
        # Socket pairs are made elsewhere; there is no file system for a named one.
        raise failure("EAFNOSUPPORT", "Unix sockets exist only as socket.socketpair() in a sandbox")
    if kind == SOCK_STREAM and proto in (0, IPPROTO_TCP):
        return
    if kind == 3:  # SOCK_RAW
        raise failure("EPERM", "raw sockets are not available in a sandbox")
    raise failure("EPROTONOSUPPORT")


def socket_pair() -> tuple[StreamSocket, StreamSocket]:
    """Two connected Unix sockets in guest memory."""
    first, second = pair()
    return StreamSocket(AF_UNIX, 0, first), StreamSocket(AF_UNIX, 0, second)
