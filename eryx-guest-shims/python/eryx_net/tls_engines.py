"""What does the TLS of an object: the host on a connection it holds, or on bytes carried here."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from . import host
from .connection import Connection
from .descriptors import Channel, find
from .host import LARGEST_WRITE, HostSession, TlsInfo
from .memory_bio import MemoryBIO
from .stream_socket import StreamSocket
from .timeouts import Deadline
from .tls_errors import SSLWantReadError, refusal, ssl_error, want_read, want_write

if TYPE_CHECKING:
    from .socket_object import socket

T = TypeVar("T")


class Engine(Protocol):
    """Raises SSLWantReadError or SSLWantWriteError where it must not block."""

    # The most it takes at a time, if there is a limit.
    largest_write: int | None

    def handshake(self) -> None: ...
    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int: ...
    def pending(self) -> int: ...
    def info(self) -> TlsInfo | None: ...
    def shutdown(self) -> Any: ...


class SocketTls:
    """TLS on a socket, within the socket's timeout.

    The host does it on a connection it holds. For one that stays inside the guest, bytes go to and
    fro between it and a session of the host's.
    """

    __slots__ = ("_config", "_inside", "_socket")

    largest_write: int | None = LARGEST_WRITE

    def __init__(self, sock: socket, config: Any) -> None:
        # As in CPython: the socket owns this object, not the other way round.
        self._socket = weakref.ref(sock)
        self._config = config
        self._inside: StreamTls | None = None

    def _open(self) -> tuple[Channel, int | None]:
        sock = self._socket()
        if sock is None or sock.fileno() == -1:
            raise refusal("Underlying socket has been closed.")
        return sock._stream().connected(), sock._nanoseconds

    def _stream(self, channel: Channel) -> StreamTls:
        if self._inside is None:
            self._inside = StreamTls(channel, self._config)
        return self._inside

    def handshake(self) -> None:
        """Do the handshake, or go on with it."""
        channel, limit = self._open()
        try:
            if isinstance(channel, Connection):
                channel.start_tls(self._config, limit)
            else:
                self._stream(channel).handshake(limit)
        except BlockingIOError:
            connecting = isinstance(channel, Connection) and not channel.established
            raise (want_write() if connecting else want_read()) from None
        except TimeoutError:
            raise TimeoutError("_ssl.c:1000: The handshake operation timed out") from None

    def read(self, size: int) -> bytes:
        """Plaintext; none after the peer's close_notify."""
        sock = self._socket()
        try:
            if (
                sock is not None
                and (opened := find(sock._fd)).__class__ is StreamSocket
                and opened.channel.__class__ is Connection
            ):
                # What nearly every call is, as in `socket.recv`.
                return opened.channel.read(size, sock._nanoseconds)
            channel, limit = self._open()
            return self._stream(channel).read(size, limit)
        except BlockingIOError:
            raise want_read() from None
        except TimeoutError:
            raise TimeoutError("The read operation timed out") from None

    def write(self, data: bytes) -> int:
        """Encrypt and send."""
        sock = self._socket()
        try:
            if (
                sock is not None
                and (opened := find(sock._fd)).__class__ is StreamSocket
                and opened.channel.__class__ is Connection
            ):
                return opened.channel.write(data, sock._nanoseconds)
            channel, limit = self._open()
            return self._stream(channel).write(data, limit)
        except BlockingIOError:
            raise want_write() from None
        except TimeoutError:
            raise TimeoutError("The write operation timed out") from None

    def pending(self) -> int:
        """Bytes of plaintext that can be read without waiting."""
        channel, _ = self._open()
        if isinstance(channel, Connection):
            return channel.pending()
        return self._stream(channel).engine.pending()

    def info(self) -> TlsInfo | None:
        """What the handshake agreed on."""
        channel, _ = self._open()
        if isinstance(channel, Connection):
            return channel.tls_info()
        return self._stream(channel).engine.info()

    def shutdown(self) -> Any:
        """End TLS; the socket carries plain bytes again."""
        channel, limit = self._open()
        try:
            if isinstance(channel, Connection):
                channel.end_tls(limit)
            else:
                self._stream(channel).shutdown(limit)
        except BlockingIOError:
            raise want_read() from None
        except TimeoutError:
            raise TimeoutError("The read operation timed out") from None
        return self._socket()


class BioTls:
    """TLS the host does on bytes that go through two buffers here."""

    __slots__ = ("_ended", "_incoming", "_outgoing", "_session")

    # Who writes to a buffer expects everything to be taken, as there is always room.
    largest_write: int | None = None

    def __init__(self, incoming: MemoryBIO, outgoing: MemoryBIO, config: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._session: HostSession = host.session(config)
        self._ended = False

    def _drain(self) -> bool:
        """Move ciphertext out. Returns whether there was any."""
        moved = False
        while data := self._session.take(LARGEST_WRITE):
            self._outgoing.write(data)
            moved = True
        return moved

    def _feed(self) -> bool:
        """Move ciphertext in. Returns whether there was anything to move."""
        data = self._incoming._front(LARGEST_WRITE)
        if data:
            taken = host.call(self._session.feed, data)
            self._incoming._drop(taken)
            return taken > 0
        if self._incoming.eof and not self._ended:
            self._session.feed_eof()
            self._ended = True
            return True
        return False

    def _run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Repeat a step while bytes can be moved for it. Raises SSLWantReadError when none can."""
        while True:
            try:
                value = host.call(step, *arguments)
            except BlockingIOError:
                moved = self._drain()
            except BrokenPipeError:
                # Of a transport made of buffers, OpenSSL says what it is that ended.
                raise ssl_error("PROTOCOL_IS_SHUTDOWN") from None
            except BaseException:
                # An alert for the peer has to leave even though the operation failed.
                self._drain()
                raise
            else:
                self._drain()
                return value
            if not self._feed() and not moved:
                raise want_read()

    def handshake(self) -> None:
        """Go on with the handshake."""
        self._run(self._session.handshake)

    def read(self, size: int) -> bytes:
        """Plaintext; none after the peer's close_notify."""
        return self._run(self._session.read, size)

    def write(self, data: bytes) -> int:
        """Encrypt, all of it."""
        for start in range(0, len(data), LARGEST_WRITE):
            part = data[start : start + LARGEST_WRITE]
            while part:
                part = part[self._run(self._session.write, part) :]
        return len(data)

    def pending(self) -> int:
        """Bytes of plaintext that can be read without more ciphertext."""
        return self._session.pending()

    def info(self) -> TlsInfo | None:
        """What the handshake agreed on."""
        return self._session.info()

    def shutdown(self) -> Any:
        """Exchange close_notify."""
        self._run(self._session.close)


class StreamTls:
    """TLS over a connection that stays inside the guest."""

    __slots__ = ("_channel", "_incoming", "_outgoing", "engine")

    def __init__(self, channel: Channel, config: Any) -> None:
        self._channel = channel
        self._incoming = MemoryBIO()
        self._outgoing = MemoryBIO()
        self.engine = BioTls(self._incoming, self._outgoing, config)

    def _flush(self, deadline: Deadline) -> None:
        while data := self._outgoing._front(LARGEST_WRITE):
            self._outgoing._drop(self._channel.write(data, deadline.left()))

    def _run(self, limit: int | None, step: Callable[..., T], *arguments: Any) -> T:
        deadline = Deadline(limit)
        while True:
            try:
                value = step(*arguments)
            except SSLWantReadError:
                self._flush(deadline)
                data = self._channel.read(LARGEST_WRITE, deadline.left())
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush(deadline)
                return value

    def handshake(self, limit: int | None) -> None:
        """Do the handshake, or go on with it."""
        self._run(limit, self.engine.handshake)

    def read(self, size: int, limit: int | None) -> bytes:
        """Plaintext; none after the peer's close_notify."""
        return self._run(limit, self.engine.read, size)

    def write(self, data: bytes, limit: int | None) -> int:
        """Encrypt and send."""
        # What an earlier call left behind goes first, so that little piles up.
        self._flush(Deadline(limit))
        return self._run(limit, self.engine.write, data)

    def shutdown(self, limit: int | None) -> None:
        """Exchange close_notify."""
        self._run(limit, self.engine.shutdown)
