"""The host's interfaces: the generated bindings, and their errors as Python exceptions.

`eryx_guest/bindings.py` has replaced the most frequent functions of the generated bindings by
faster ones that take the same arguments.

The bindings are loaded on first use. A call of the host while the image is built would abort the
build, and `wit_world` imports asyncio, which needs the modules of this package installed first.
"""

from __future__ import annotations

import errno
import gc
import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from .errors import gai_error, os_error
from .socket_constants import EAI_AGAIN, EAI_NODATA, EAI_NONAME
from .tls.errors import tls_exception

T = TypeVar("T")

LARGEST_READ = 1 << 20
"""The largest read in bytes. The host has the same limit."""

LARGEST_WRITE = 256 << 10
"""The largest write in bytes."""

LARGEST_PEEK = 64 << 10
"""The number of bytes that MSG_PEEK reads ahead."""

NON_BLOCKING = 0
"""The timeout of an operation that never waits."""


class Endpoint(Protocol):
    """The address of one end of a connection."""

    address: str
    port: int


class HostConnection(Protocol):
    """A connection of the host (`eryx:net/tcp.connection`). Timeouts are in nanoseconds."""

    def finish_connect(self, timeout: int | None) -> None: ...
    def read(self, max: int, timeout: int | None) -> bytes: ...
    def write(self, data: bytes, timeout: int | None) -> int: ...
    def shutdown(self, how: Any) -> None: ...
    def local_endpoint(self) -> Endpoint: ...
    def peer_endpoint(self) -> Endpoint: ...
    def set_no_delay(self, enabled: bool) -> None: ...
    def set_keep_alive(self, enabled: bool) -> None: ...
    def set_keepalive_option(self, setting: Any, value: int) -> None: ...
    def start_tls(self, config: Any, timeout: int | None) -> None: ...
    def end_tls(self, timeout: int | None) -> None: ...
    def tls_info(self) -> TlsInfo | None: ...
    def pending(self) -> int: ...
    def status(self) -> HostStatus: ...
    def take_error(self) -> None: ...
    def set_reset_on_close(self, enabled: bool) -> None: ...
    def set_user_timeout(self, milliseconds: int) -> None: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class HostStatus(Protocol):
    """What poll(2) reports of a connection (`eryx:net/tcp.connection-status`)."""

    read_closed: bool
    hung_up: bool
    has_error: bool


class HostDatagram(Protocol):
    """A received datagram (`eryx:net/udp.datagram`)."""

    data: bytes
    size: int
    source: Endpoint


class HostSocket(Protocol):
    """A UDP socket of the host (`eryx:net/udp.socket`)."""

    def bind(self) -> Endpoint: ...
    def connect(self, host: str, port: int) -> None: ...
    def send(self, data: bytes, timeout: int | None) -> None: ...
    def send_to(self, data: bytes, host: str, port: int, timeout: int | None) -> None: ...
    def receive(self, max: int, timeout: int | None) -> HostDatagram: ...
    def local_endpoint(self) -> Endpoint: ...
    def take_error(self) -> None: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class TlsInfo(Protocol):
    """The negotiated parameters of a TLS session (`eryx:net/tls.info`)."""

    version: Any
    cipher: str
    cipher_bits: int
    alpn: bytes | None
    peer_chain: list[bytes]
    resumed: bool


class HostSession(Protocol):
    """A TLS session whose ciphertext the guest transports (`eryx:net/tls.session`)."""

    def feed(self, ciphertext: bytes) -> int: ...
    def feed_eof(self) -> None: ...
    def take(self, max: int) -> bytes: ...
    def handshake(self) -> None: ...
    def read(self, max: int) -> bytes: ...
    def write(self, plaintext: bytes) -> int: ...
    def pending(self) -> int: ...
    def close(self) -> None: ...
    def info(self) -> TlsInfo | None: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class HostLookup(Protocol):
    """A lookup of a host name (`eryx:net/resolver.lookup`)."""

    def finish(self, timeout: int | None) -> list[str]: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class HostCall(Protocol):
    """A call of a function of the embedder (`eryx:host/functions.call`)."""

    def finish(self, timeout: int | None) -> bytes: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class LostResource:
    """Stands for a resource of the host that a fork of a session does not have.

    It answers like a connection that the peer has reset, and like a lookup whose name server does
    not answer.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._raise_reset

    def _raise_reset(self, *arguments: Any) -> Any:
        raise _error("ConnectionReset")

    def finish(self, timeout: int | None) -> list[str]:
        """Raises the error of a lookup that may succeed later."""
        raise _error("NameTryAgain")

    def take(self, max: int) -> bytes:
        """Returns no ciphertext."""
        return b""

    def feed_eof(self) -> None:
        """Does nothing."""

    def pending(self) -> int:
        """Returns 0: nothing is buffered."""
        return 0

    def info(self) -> None:
        """Returns None: there is no TLS."""

    tls_info = info

    def status(self) -> HostStatus:
        """Returns the status of a connection after a reset."""
        status: HostStatus = interfaces().tcp.ConnectionStatus(True, True, False)
        return status

    def __exit__(self, *exc_info: None) -> None:
        """Does nothing: there is nothing to close."""


def _error(case: str) -> Any:
    """Returns the exception of the bindings for a case of `types.error`."""
    types = importlib.import_module("wit_world.imports.types")
    return interfaces().Err(getattr(types, f"Error_{case}")())


LOST: Any = LostResource()
"""The stand-in for every lost resource."""


class Ready(Protocol):
    """The result of `poll`: indexes into the lists passed to it."""

    readable: list[int]
    writable: list[int]
    receivable: list[int]
    sendable: list[int]
    lookups: list[int]
    calls: list[int]


class Interfaces:
    """The generated bindings."""

    __slots__ = ("Err", "functions", "poll", "resolver", "tcp", "tls", "udp")

    def __init__(self) -> None:
        self.Err: Any = importlib.import_module("componentize_py_types").Err
        self.functions: Any = importlib.import_module("wit_world.imports.functions")
        self.poll: Any = importlib.import_module("wit_world.imports.poll")
        self.resolver: Any = importlib.import_module("wit_world.imports.resolver")
        self.tcp: Any = importlib.import_module("wit_world.imports.tcp")
        self.tls: Any = importlib.import_module("wit_world.imports.tls")
        self.udp: Any = importlib.import_module("wit_world.imports.udp")


_interfaces: Interfaces | None = None


def interfaces() -> Interfaces:
    """Returns the generated bindings. Loads them on first use."""
    global _interfaces
    if _interfaces is None:
        _interfaces = Interfaces()
    return _interfaces


_ERRNO_NAMES = {
    "WouldBlock": "EAGAIN",
    "Denied": "EACCES",
    "LimitReached": "EMFILE",
    "QuotaExceeded": "EDQUOT",
    "ConnectionRefused": "ECONNREFUSED",
    "ConnectionReset": "ECONNRESET",
    "ConnectionAborted": "ECONNABORTED",
    "BrokenPipe": "EPIPE",
    "NotConnected": "ENOTCONN",
    "HostUnreachable": "EHOSTUNREACH",
    "NetworkUnreachable": "ENETUNREACH",
    "MessageTooLong": "EMSGSIZE",
    "InvalidArgument": "EINVAL",
    "AddressNotAvailable": "EADDRNOTAVAIL",
    "NoBufferSpace": "ENOBUFS",
}
_GAI_ERRORS = {
    "NameNotFound": EAI_NONAME,
    "NameWithoutAddress": EAI_NODATA,
    "NameTryAgain": EAI_AGAIN,
}


def exception_for(error: Any) -> OSError:
    """Returns CPython's exception for a case of the variant `types.error`."""
    case = type(error).__name__.removeprefix("Error_")
    name = _ERRNO_NAMES.get(case)
    if name is not None:
        # Cases without a payload have Linux's text.
        return os_error(name, str(error.value or case) if hasattr(error, "value") else None)
    if case == "TimedOut":
        # CPython's text, and no errno: its timeouts are not the kernel's.
        return TimeoutError("timed out")
    if case in _GAI_ERRORS:
        return gai_error(_GAI_ERRORS[case])
    if case == "Tls":
        return tls_exception(error.value)
    return os_error("EIO", str(getattr(error, "value", "") or case))


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function of the host. Raises CPython's exception for an error of the host."""
    try:
        return function(*arguments)
    except interfaces().Err as error:
        pending = [to_exception(error)]
    raise pending.pop()


def to_exception(error: Any) -> OSError:
    """Converts an exception of the bindings to the exception to raise.

    Raise it outside of the `except` block: the bindings' exception is frozen, and code that finds
    it as the context of another exception (unittest, contextlib) fails to add a traceback to it.
    Raise it from an expression that keeps no reference: its traceback refers to the frames it
    passed, and a local variable there would make a reference cycle, which keeps the locals of all
    these frames alive until the next garbage collection.
    """
    converted = exception_for(error.value)
    error.with_traceback(None)
    return converted


def connect(name: str, port: int) -> HostConnection:
    """Starts to connect. Raises PermissionError if the policy denies the host."""
    connection: HostConnection = call_with_gc_retry(interfaces().tcp.Connection.connect, name, port)
    return connection


def udp_socket(family: str) -> HostSocket:
    """Opens a UDP socket for the family `IPV4` or `IPV6`.

    Raises OSError(EPROTONOSUPPORT), as a system without UDP does, if the embedder allows no UDP.
    """
    udp = interfaces().udp
    try:
        socket: HostSocket = call(udp.Socket.open, udp.Family[family])
    except PermissionError as error:
        reason = error.strerror
    else:
        return socket
    raise os_error("EPROTONOSUPPORT", reason)


def start_lookup(name: str, port: int | None, family: str) -> HostLookup:
    """Starts to resolve `name`; `family` is `ANY`, `IPV4` or `IPV6`."""
    resolver = interfaces().resolver
    lookup: HostLookup = call(resolver.Lookup.start, name, port, resolver.Family[family])
    return lookup


def resolve(name: str, port: int | None, family: str) -> list[str]:
    """Resolves `name` and waits for the addresses; `family` is `ANY`, `IPV4` or `IPV6`."""
    resolver = interfaces().resolver
    addresses: str = call(resolver.resolve, name, port, resolver.Family[family])
    return addresses.split()


def tls_session(config: Any) -> HostSession:
    """Starts a TLS session whose ciphertext the guest transports.

    Raises PermissionError for a server name that the policy denies, and SSLError for settings that
    the embedder does not permit.
    """
    session: HostSession = call_with_gc_retry(interfaces().tls.Session.client, config)
    return session


def call_with_gc_retry(function: Callable[..., T], *arguments: Any) -> T:
    """Like `call`, but collects garbage and retries once if a limit is reached.

    Connections and sockets that only a reference cycle keeps alive are closed by that.
    """
    try:
        return call(function, *arguments)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    gc.collect()
    return call(function, *arguments)


def poll(
    readable: Sequence[HostConnection],
    writable: Sequence[HostConnection],
    receivable: Sequence[HostSocket],
    sendable: Sequence[HostSocket],
    lookups: Sequence[HostLookup],
    calls: Sequence[HostCall],
    timeout: int | None,
) -> Ready:
    """Waits until a resource is ready, up to `timeout` nanoseconds. Sleeps if there is none."""
    ready: Ready = interfaces().poll.poll(
        readable, writable, receivable, sendable, lookups, calls, timeout
    )
    return ready
