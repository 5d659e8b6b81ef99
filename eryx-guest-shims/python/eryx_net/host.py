"""The way to the host: the imported interfaces, loaded late, and what their errors mean in Python.

Nothing here runs at import. Calling an import while the image is being built would abort the build,
and `wit_world` imports asyncio, which must find our modules already in place.
"""

from __future__ import annotations

import errno
import gc
import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from .failures import failure, lookup_failure
from .socket_constants import EAI_AGAIN, EAI_NONAME
from .tls_errors import tls_exception

T = TypeVar("T")

LARGEST_READ = 1 << 20
"""The most bytes asked of the host at once; it would clamp to the same."""

LARGEST_WRITE = 256 << 10
"""The most bytes handed to the host at once."""

LARGEST_PEEK = 64 << 10
"""How far ahead bytes are fetched for MSG_PEEK."""

AT_ONCE = 0
"""A timeout that does not wait at all."""


class Endpoint(Protocol):
    """One end of a connection."""

    address: str
    port: int


class HostConnection(Protocol):
    """A connection the host holds (`eryx:net/tcp.connection`). Timeouts are nanoseconds."""

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
    def __exit__(self, *exc_info: None) -> bool | None: ...


class HostDatagram(Protocol):
    """What was received (`eryx:net/udp.datagram`)."""

    data: bytes
    size: int
    source: Endpoint


class HostSocket(Protocol):
    """A UDP socket the host holds (`eryx:net/udp.socket`)."""

    def bind(self) -> Endpoint: ...
    def connect(self, host: str, port: int) -> None: ...
    def send(self, data: bytes, timeout: int | None) -> None: ...
    def send_to(self, data: bytes, host: str, port: int, timeout: int | None) -> None: ...
    def receive(self, max: int, timeout: int | None) -> HostDatagram: ...
    def local_endpoint(self) -> Endpoint: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class TlsInfo(Protocol):
    """What a handshake agreed on (`eryx:net/tls.info`)."""

    version: Any
    cipher: str
    cipher_bits: int
    alpn: bytes | None
    peer_chain: list[bytes]
    resumed: bool


class HostSession(Protocol):
    """TLS over a transport of our own (`eryx:net/tls.session`)."""

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
    """A name being resolved (`eryx:net/resolver.lookup`)."""

    def finish(self, timeout: int | None) -> list[str]: ...
    def __exit__(self, *exc_info: None) -> bool | None: ...


class Ready(Protocol):
    """What `poll` found, as positions in the lists given."""

    readable: list[int]
    writable: list[int]
    receivable: list[int]
    sendable: list[int]
    lookups: list[int]


class Interfaces:
    """The generated bindings."""

    __slots__ = ("Err", "poll", "resolver", "tcp", "tls", "udp")

    def __init__(self) -> None:
        self.Err: Any = importlib.import_module("componentize_py_types").Err
        self.poll: Any = importlib.import_module("wit_world.imports.poll")
        self.resolver: Any = importlib.import_module("wit_world.imports.resolver")
        self.tcp: Any = importlib.import_module("wit_world.imports.tcp")
        self.tls: Any = importlib.import_module("wit_world.imports.tls")
        self.udp: Any = importlib.import_module("wit_world.imports.udp")


_interfaces: Interfaces | None = None


def interfaces() -> Interfaces:
    """The generated bindings, loaded on first use."""
    global _interfaces
    if _interfaces is None:
        _interfaces = Interfaces()
    return _interfaces


def exception(error: object) -> OSError:
    """The exception CPython would raise for what the host reports (a case of `types.error`)."""
    case = type(error).__name__.removeprefix("Error_")
    simple = _SIMPLE.get(case)
    if simple is not None:
        return simple()
    text = str(getattr(error, "value", "") or case)
    if case == "Denied":
        return failure("EACCES", text)
    if case == "LimitReached":
        return failure("EMFILE", text)
    if case == "QuotaExceeded":
        return failure("EDQUOT", text)
    if case == "InvalidArgument":
        return failure("EINVAL", text)
    if case == "Tls":
        return tls_exception(error.value)  # type: ignore[attr-defined]
    return failure("EIO", text)


def _timed_out() -> OSError:
    # CPython's own words, and no errno: its timeouts never reach the kernel.
    return TimeoutError("timed out")


def _named(name: str) -> Callable[[], OSError]:
    return lambda: failure(name)


_SIMPLE: dict[str, Callable[[], OSError]] = {
    "WouldBlock": _named("EAGAIN"),
    "TimedOut": _timed_out,
    "NameNotFound": lambda: lookup_failure(EAI_NONAME),
    "NameTryAgain": lambda: lookup_failure(EAI_AGAIN),
    "ConnectionRefused": _named("ECONNREFUSED"),
    "ConnectionReset": _named("ECONNRESET"),
    "ConnectionAborted": _named("ECONNABORTED"),
    "BrokenPipe": _named("EPIPE"),
    "NotConnected": _named("ENOTCONN"),
    "HostUnreachable": _named("EHOSTUNREACH"),
    "NetworkUnreachable": _named("ENETUNREACH"),
    "MessageTooLong": _named("EMSGSIZE"),
    "AddressNotAvailable": _named("EADDRNOTAVAIL"),
    "NoBufferSpace": _named("ENOBUFS"),
}


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of the host. Raises what CPython raises where the host reports an error."""
    try:
        return function(*arguments)
    except interfaces().Err as error:
        failed = [told(error)]
    raise failed.pop()


def told(error: Any) -> OSError:
    """What to raise for an exception of the bindings, once it is handled, with nothing left behind.

    Not within the handler: the bindings' exception is frozen, and code that meets it as the context
    of ours (unittest, contextlib) fails when it adds a traceback to it. And not from a name that
    goes on holding it: a traceback holds the frames it came through, and what they hold would stay
    until the collector came by.
    """
    failed = exception(error.value)
    error.with_traceback(None)
    return failed


def connect(name: str, port: int) -> HostConnection:
    """Begin to connect. Raises what the host refuses at once, `PermissionError` above all."""
    begun: HostConnection = within_limits(interfaces().tcp.Connection.connect, name, port)
    return begun


def datagrams(family: str) -> HostSocket:
    """A UDP socket for `IPV4` or `IPV6`. Raises OSError(EPROTONOSUPPORT), as where there is no such
    protocol, when the embedder allows datagrams to nobody.
    """
    udp = interfaces().udp
    try:
        opened: HostSocket = call(udp.Socket.open, udp.Family[family])
    except PermissionError as error:
        reason = error.strerror
    else:
        return opened
    raise failure("EPROTONOSUPPORT", reason)


def lookup(name: str, port: int | None, family: str) -> HostLookup:
    """Begin to resolve `name`; `family` is `ANY`, `IPV4` or `IPV6`."""
    resolver = interfaces().resolver
    begun: HostLookup = call(resolver.Lookup.start, name, port, resolver.Family[family])
    return begun


def session(config: Any) -> HostSession:
    """Begin a TLS handshake over bytes carried here. Raises what the host refuses at once."""
    begun: HostSession = within_limits(interfaces().tls.Session.client, config)
    return begun


def within_limits(function: Callable[..., T], *arguments: Any) -> T:
    """As `call`, but where a limit is reached what only a reference cycle keeps is let go first."""
    try:
        return call(function, *arguments)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
    gc.collect()
    return call(function, *arguments)


def wait_for(
    readable: Sequence[HostConnection],
    writable: Sequence[HostConnection],
    receivable: Sequence[HostSocket],
    sendable: Sequence[HostSocket],
    lookups: Sequence[HostLookup],
    timeout: int | None,
) -> Ready:
    """Wait for any of the given. With nothing given this is a sleep of `timeout` nanoseconds."""
    ready: Ready = interfaces().poll.poll(
        readable, writable, receivable, sendable, lookups, timeout
    )
    return ready
