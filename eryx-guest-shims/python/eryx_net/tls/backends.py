"""TLS backends: the host's TLS on its own connections, and on bytes that the guest transports."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .. import host
from ..descriptors import find
from ..host import LARGEST_READ, LARGEST_WRITE, NON_BLOCKING, HostSession, TlsInfo
from ..sockets.connection import Connection
from ..sockets.socket_object import socket
from ..sockets.stream_socket import Channel, StreamSocket
from ..timeouts import Deadline
from .errors import (
    LostSessionError,
    SSLEOFError,
    SSLWantReadError,
    sandbox_error,
    ssl_error,
    unexpected_eof,
    want_read,
    want_write,
    zero_return,
)
from .memory_bio import MemoryBIO

T = TypeVar("T")


class Backend(Protocol):
    """The TLS of one SSL object.

    Raises SSLWantReadError and SSLWantWriteError where an operation must not block.
    """

    largest_write: int | None
    """The largest write in bytes, None if unlimited."""

    refuses_writes: bool
    """Whether every write is an error, an empty one too."""

    def handshake(self) -> None: ...
    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int: ...
    def pending(self) -> int: ...
    def info(self) -> TlsInfo | None: ...
    def shutdown(self) -> Any: ...
    def after_shutdown(self, error: OSError) -> Backend: ...


class SocketBackend:
    """TLS on a socket, within the socket's timeout.

    On a connection of the host, the host does it all. On a connection inside the sandbox, the guest
    transports the ciphertext between that connection and a session of the host.
    """

    __slots__ = ("_config", "_has_ended", "_has_failed", "_loopback", "_socket")

    largest_write: int | None = LARGEST_WRITE
    refuses_writes = False

    def __init__(self, sock: socket, config: Any) -> None:
        # As in CPython, the socket owns this object and not the reverse.
        self._socket = weakref.ref(sock)
        self._config = config
        self._loopback: LoopbackBackend | None = None
        self._has_failed = False
        # Whether a read has returned the peer's close_notify.
        self._has_ended = False

    def _channel(self) -> tuple[Channel, int | None]:
        """Returns the connection and the timeout of the socket."""
        sock = self._socket()
        if sock is None or sock.fileno() == -1:
            raise sandbox_error("Underlying socket has been closed.")
        return sock._stream().connected(), sock._nanoseconds

    def _loopback_backend(self, channel: Channel) -> LoopbackBackend:
        if self._loopback is None:
            self._loopback = LoopbackBackend(channel, self._config)
        return self._loopback

    def handshake(self) -> None:
        """Does the handshake, or continues it."""
        channel, timeout = self._channel()
        try:
            if isinstance(channel, Connection):
                channel.start_tls(self._config, timeout)
            else:
                self._loopback_backend(channel).handshake(timeout)
        except BlockingIOError:
            connecting = isinstance(channel, Connection) and not channel.established
            raise (want_write() if connecting else want_read()) from None
        except TimeoutError:
            raise TimeoutError("_ssl.c:1000: The handshake operation timed out") from None

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes of plaintext; none after the peer's close_notify."""
        sock = self._socket()
        try:
            if (
                sock is not None
                and (description := find(sock._fd)).__class__ is StreamSocket
                and description.channel.__class__ is Connection
            ):
                # The common case, inlined as in `socket.recv`.
                data = description.channel.read(size, sock._nanoseconds)
                if not data:
                    self._has_ended = True
                return data
            if _is_closed(sock):
                raise unexpected_eof()
            channel, timeout = self._channel()
            return self._loopback_backend(channel).read(size, timeout)
        except (BlockingIOError, TimeoutError) as error:
            raise _incomplete(error, "read") from None
        except SSLEOFError:
            self._has_failed = True
            raise

    def write(self, data: bytes) -> int:
        """Encrypts and sends; returns the number of bytes accepted."""
        sock = self._socket()
        try:
            if (
                sock is not None
                and (description := find(sock._fd)).__class__ is StreamSocket
                and description.channel.__class__ is Connection
            ):
                return description.channel.write(data, sock._nanoseconds)
            if _is_closed(sock) and sock is not None and sock._nanoseconds == NON_BLOCKING:
                raise unexpected_eof()
            channel, timeout = self._channel()
            return self._loopback_backend(channel).write(data, timeout)
        except (BlockingIOError, TimeoutError) as error:
            raise _incomplete(error, "write") from None
        except BrokenPipeError:
            self._raise_if_ended()
            raise

    def pending(self) -> int:
        """Returns the number of plaintext bytes that can be read without waiting."""
        if _is_closed(self._socket()):
            return 0
        channel, _ = self._channel()
        if isinstance(channel, Connection):
            return channel.pending()
        return self._loopback_backend(channel).bio.pending()

    def info(self) -> TlsInfo | None:
        """Returns the negotiated parameters, None before the handshake completes."""
        channel, _ = self._channel()
        if isinstance(channel, Connection):
            return channel.tls_info()
        return self._loopback_backend(channel).bio.info()

    def shutdown(self) -> Any:
        """Exchanges close_notify; returns the socket, which carries plain bytes again."""
        if self._has_failed:
            raise ssl_error("SHUTDOWN_WHILE_IN_INIT")
        channel, timeout = self._channel()
        try:
            if isinstance(channel, Connection):
                channel.end_tls(timeout)
            else:
                self._loopback_backend(channel).shutdown(timeout)
        except (BlockingIOError, TimeoutError) as error:
            raise _incomplete(error, "read") from None
        except BrokenPipeError:
            self._raise_if_ended()
            raise
        return self._socket()

    def _raise_if_ended(self) -> None:
        """Raises SSLZeroReturnError in place of an error, if the peer's close_notify was read."""
        # As OpenSSL, which takes a close_notify that it has read for the cause.
        if self._has_ended:
            raise zero_return() from None

    def after_shutdown(self, error: OSError) -> Backend:
        """Returns the backend after an exchange of close_notify that is not complete."""
        return ClosingBackend(self, error)


def _is_closed(sock: socket | None) -> bool:
    """Returns whether a program has closed the descriptor of a socket, and not the socket."""
    return sock is not None and sock._fd == -1


def _incomplete(error: OSError, operation: str) -> OSError:
    """Returns the exception of `ssl` for an operation that would block or timed out."""
    if isinstance(error, TimeoutError):
        return TimeoutError(f"The {operation} operation timed out")
    return want_read() if operation == "read" else want_write()


class BioBackend:
    """TLS over two buffers of ciphertext, in a session of the host."""

    __slots__ = ("_eof_fed", "_incoming", "_outgoing", "_session")

    # A write to a buffer is never partial, as the buffer is unbounded.
    largest_write: int | None = None
    refuses_writes = False

    def __init__(self, incoming: MemoryBIO, outgoing: MemoryBIO, config: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._session: HostSession = host.tls_session(config)
        self._eof_fed = False

    def lose_resource(self) -> None:
        """Makes every further operation fail with `LostSessionError`."""
        self._session = host.LOST

    def _drain(self) -> bool:
        """Moves ciphertext from the session to the buffer. Returns whether there was any."""
        moved = False
        while data := self._session.take(LARGEST_WRITE):
            self._outgoing.write(data)
            moved = True
        return moved

    def _feed(self) -> bool:
        """Moves ciphertext from the buffer to the session. Returns whether there was any."""
        data = self._incoming._peek(LARGEST_WRITE)
        if data:
            accepted = host.call(self._session.feed, data)
            self._incoming._skip(accepted)
            return accepted > 0
        if self._incoming.eof and not self._eof_fed:
            self._session.feed_eof()
            self._eof_fed = True
            return True
        return False

    def _run(self, step: Callable[..., T], *arguments: Any) -> T:
        """Repeats a step as long as it can move bytes. Raises SSLWantReadError if it cannot."""
        while True:
            try:
                value = host.call(step, *arguments)
            except BlockingIOError:
                moved = self._drain()
            except BrokenPipeError:
                # OpenSSL's error for the end of a transport made of buffers.
                raise ssl_error("PROTOCOL_IS_SHUTDOWN") from None
            except ConnectionResetError as error:
                # Buffers have no connection: the session is lost.
                raise LostSessionError(*error.args) from None
            except BaseException:
                # The session may have an alert for the peer, which has to be sent.
                self._drain()
                raise
            else:
                self._drain()
                return value
            if not self._feed() and not moved:
                raise want_read()

    def handshake(self) -> None:
        """Continues the handshake."""
        self._run(self._session.handshake)

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes of plaintext; none after the peer's close_notify."""
        return self._run(self._session.read, size)

    def write(self, data: bytes) -> int:
        """Encrypts all of `data`; returns its length."""
        for start in range(0, len(data), LARGEST_WRITE):
            part = data[start : start + LARGEST_WRITE]
            while part:
                part = part[self._run(self._session.write, part) :]
        return len(data)

    def pending(self) -> int:
        """Returns the number of plaintext bytes that can be read without more ciphertext."""
        return self._session.pending()

    def info(self) -> TlsInfo | None:
        """Returns the negotiated parameters, None before the handshake completes."""
        return self._session.info()

    def shutdown(self) -> Any:
        """Exchanges close_notify."""
        self._run(self._session.close)

    def after_shutdown(self, error: OSError) -> Backend:
        """Returns this backend: the session of the host has the state."""
        return self


class ClosingBackend:
    """A session that has sent close_notify and waits for the peer's.

    Data or the end of the transport in place of the peer's close_notify ends the session: data is
    dropped, and only the end of the transport is waited for.
    """

    __slots__ = ("_has_failed", "_open")

    largest_write: int | None = None
    refuses_writes = True

    def __init__(self, open_backend: Backend, error: OSError) -> None:
        self._open = open_backend
        self._has_failed = False
        self.after_shutdown(error)

    def handshake(self) -> None:
        """Does nothing: the handshake was complete."""

    def read(self, size: int) -> bytes:
        """Returns up to `size` bytes of plaintext; none after the peer's close_notify."""
        if not self._has_failed:
            return self._open.read(size)
        while self._open.read(LARGEST_READ):
            pass
        raise unexpected_eof()

    def write(self, data: bytes) -> int:
        """Raises SSLError."""
        raise ssl_error("PROTOCOL_IS_SHUTDOWN")

    def pending(self) -> int:
        """Returns the number of plaintext bytes that can be read without waiting."""
        return 0 if self._has_failed else self._open.pending()

    def info(self) -> TlsInfo | None:
        """Returns the parameters that were negotiated."""
        return self._open.info()

    def shutdown(self) -> Any:
        """Continues to wait for the peer's close_notify; returns the underlying transport."""
        if self._has_failed:
            raise ssl_error("SHUTDOWN_WHILE_IN_INIT")
        return self._open.shutdown()

    def after_shutdown(self, error: OSError) -> Backend:
        """Returns this backend, after one more exchange that is not complete."""
        # As with OpenSSL, data and the end of the transport in place of the peer's close_notify are
        # final, and a timeout is not.
        reason = getattr(error, "reason", None)
        if isinstance(error, SSLEOFError) or reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY":
            self._has_failed = True
        return self


class ClosedBackend:
    """A session after close_notify was exchanged, which transfers no more."""

    __slots__ = ("_closed",)

    largest_write: int | None = None
    refuses_writes = True

    def __init__(self, closed: Backend) -> None:
        self._closed = closed

    def handshake(self) -> None:
        """Does nothing: the handshake was complete."""

    def read(self, size: int) -> bytes:
        """Raises SSLZeroReturnError."""
        raise zero_return()

    def write(self, data: bytes) -> int:
        """Raises SSLError."""
        raise ssl_error("PROTOCOL_IS_SHUTDOWN")

    def pending(self) -> int:
        """Returns 0."""
        return 0

    def info(self) -> TlsInfo | None:
        """Returns the parameters that were negotiated."""
        return self._closed.info()

    def shutdown(self) -> Any:
        """Returns the underlying transport again."""
        return self._closed.shutdown()

    def after_shutdown(self, error: OSError) -> Backend:
        """Returns this backend."""
        return self


class LoopbackBackend:
    """TLS over a connection inside the sandbox."""

    __slots__ = ("_channel", "_incoming", "_outgoing", "bio")

    def __init__(self, channel: Channel, config: Any) -> None:
        self._channel = channel
        self._incoming = MemoryBIO()
        self._outgoing = MemoryBIO()
        self.bio = BioBackend(self._incoming, self._outgoing, config)

    def _flush(self, deadline: Deadline) -> None:
        while data := self._outgoing._peek(LARGEST_WRITE):
            self._outgoing._skip(self._channel.write(data, deadline.remaining()))

    def _run(self, timeout: int | None, step: Callable[..., T], *arguments: Any) -> T:
        deadline = Deadline(timeout)
        while True:
            try:
                value = step(*arguments)
            except SSLWantReadError:
                self._flush(deadline)
                data = self._channel.read(LARGEST_WRITE, deadline.remaining())
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush(deadline)
                return value

    def handshake(self, timeout: int | None) -> None:
        """Does the handshake, or continues it."""
        self._run(timeout, self.bio.handshake)

    def read(self, size: int, timeout: int | None) -> bytes:
        """Returns up to `size` bytes of plaintext; none after the peer's close_notify."""
        return self._run(timeout, self.bio.read, size)

    def write(self, data: bytes, timeout: int | None) -> int:
        """Encrypts and sends; returns the number of bytes."""
        # The ciphertext of an earlier call goes first, which bounds the outgoing buffer.
        self._flush(Deadline(timeout))
        return self._run(timeout, self.bio.write, data)

    def shutdown(self, timeout: int | None) -> None:
        """Exchanges close_notify."""
        self._run(timeout, self.bio.shutdown)
