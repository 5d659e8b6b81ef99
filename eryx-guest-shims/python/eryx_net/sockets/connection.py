"""A connection of the host, as the channel of a socket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from .. import host
from ..errors import error_number, os_error
from ..host import NON_BLOCKING, HostConnection, TlsInfo
from .hang_up import ERROR, HANG_UP, READ_HANG_UP
from .options import TimeLimits

T = TypeVar("T")
R = TypeVar("R")


class Connection:
    """A connection of the host: first connecting, then established.

    `established` is set once the host reports it. Until then every operation first waits for that,
    within its own timeout.
    """

    __slots__ = (
        "_error_returned",
        "_failed",
        "_pending_options",
        "_unread",
        "established",
        "resource",
        "time_limits",
    )

    def __init__(self, name: str, port: int) -> None:
        self.resource: HostConnection = host.connect(name, port)
        self.established = False
        self._failed = False
        # Whether a read or write has returned the error of the connect, as later ones do not.
        self._error_returned = False
        self._unread = b""
        # For operations without a timeout of their own.
        self.time_limits: TimeLimits | None = None
        self._pending_options: dict[str, int] = {}

    def finish_connect(self, timeout: int | None) -> None:
        """Waits until connected. Raises BlockingIOError, TimeoutError, or the connect's error."""
        if self.established:
            return
        try:
            host.call(self.resource.finish_connect, timeout)
        except BlockingIOError:
            raise
        except OSError:
            # The failure is final: the host returns the same error for every further call.
            self._failed = True
            raise
        self.established = True
        for name, value in self._pending_options.items():
            self.set_option(name, value)
        self._pending_options.clear()

    def _wait_until_connected(self, timeout: int | None) -> bool:
        """Waits like `finish_connect`. Returns False once the error was returned before."""
        if self._error_returned:
            return False
        try:
            self.finish_connect(timeout)
        except BlockingIOError:
            raise
        except OSError:
            self._error_returned = True
            raise
        return True

    def error_was_returned(self) -> bool:
        """Returns whether a read or write has returned the error of the connect."""
        return self._error_returned

    def read(self, size: int, timeout: int | None) -> bytes:
        """Returns up to `size` bytes; none at the end of the stream."""
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        if not self.established and not self._wait_until_connected(timeout):
            return b""
        if timeout is None and (limits := self.time_limits) is not None:
            return _within(limits.receive, self.resource.read, size)
        # `host.call` inlined: `read` and `write` are the most frequent operations.
        try:
            return self.resource.read(size, timeout)
        except host.interfaces().Err as error:
            pending = [host.to_exception(error)]
        raise pending.pop()

    def peek(self, size: int, timeout: int | None) -> bytes:
        """Like `read`, but does not consume the bytes."""
        if not self._unread:
            # Reads ahead, so that the next `read` is not limited to the bytes that were peeked at.
            self._unread = self.read(max(size, host.LARGEST_PEEK), timeout)
        elif len(self._unread) < size:
            with contextlib.suppress(BlockingIOError):
                unread, self._unread = self._unread, b""
                try:
                    unread += self.read(size, NON_BLOCKING)
                finally:
                    self._unread = unread
        return self._unread[:size]

    def write(self, data: bytes, timeout: int | None) -> int:
        """Sends; returns the number of bytes accepted."""
        if not self.established and not self._wait_until_connected(timeout):
            raise os_error("EPIPE")
        if timeout is None and (limits := self.time_limits) is not None:
            return _within(limits.send, self.resource.write, data)
        try:
            return self.resource.write(data, timeout)
        except host.interfaces().Err as error:
            pending = [host.to_exception(error)]
        raise pending.pop()

    def shutdown(self, how: int) -> None:
        """Shuts down receiving (0), sending (1) or both (2)."""
        if not self.established:
            raise os_error("ENOTCONN")
        host.call(self.resource.shutdown, host.interfaces().tcp.ShutdownType(how))

    def local_address(self) -> tuple[str, int] | None:
        """Returns the local address, None before there is one."""
        try:
            endpoint = host.call(self.resource.local_endpoint)
        except OSError:
            return None
        return endpoint.address, endpoint.port

    def peer_address(self) -> tuple[str, int] | None:
        """Returns the peer's address, None unless the connection is established."""
        if not self.established:
            return None
        try:
            endpoint = host.call(self.resource.peer_endpoint)
        except OSError:
            return None
        return endpoint.address, endpoint.port

    def set_option(self, name: str, value: int) -> None:
        """Sets an option of the host's socket, now or once the connection is established."""
        if not self.established:
            self._pending_options[name] = value
        elif name == "no_delay":
            host.call(self.resource.set_no_delay, bool(value))
        elif name == "keep_alive":
            host.call(self.resource.set_keep_alive, bool(value))
        elif name == "reset_on_close":
            host.call(self.resource.set_reset_on_close, bool(value))
        elif name == "user_timeout":
            host.call(self.resource.set_user_timeout, value)
        else:
            option = host.interfaces().tcp.KeepaliveOption[name.upper()]
            host.call(self.resource.set_keepalive_option, option, value)

    def readable_now(self) -> bool | None:
        """Returns True if a read would not block, None if only the host knows."""
        return True if self._unread or self._failed else None

    def writable_now(self) -> bool | None:
        """Returns True if a write would not block, None if only the host knows."""
        return True if self._failed else None

    def hung_up(self) -> bool:
        """Returns whether the connect failed, or the connection is lost."""
        return self._failed

    def status(self) -> int:
        """Returns `HANG_UP`, `ERROR` and `READ_HANG_UP`, as far as they hold."""
        if self._failed:
            return HANG_UP | READ_HANG_UP | (0 if self._error_returned else ERROR)
        if not self.established:
            return 0
        status = self.resource.status()
        return (
            (HANG_UP if status.hung_up else 0)
            | (ERROR if status.has_error else 0)
            | (READ_HANG_UP if status.read_closed else 0)
        )

    def take_error(self) -> int:
        """Returns the pending error number (SO_ERROR) of an established connection, 0 for none."""
        try:
            host.call(self.resource.take_error)
        except OSError as error:
            return error.errno or error_number("EIO")
        return 0

    def start_tls(self, config: object, timeout: int | None) -> None:
        """Starts TLS, or continues its handshake. The policy applies to the name in `config`."""
        self.finish_connect(timeout)
        if self._unread:
            raise os_error("EINVAL", "bytes were peeked at before TLS began; read them first")
        host.call(self.resource.start_tls, config, timeout)

    def end_tls(self, timeout: int | None) -> None:
        """Exchanges close_notify and returns to plain TCP."""
        host.call(self.resource.end_tls, timeout)

    def tls_info(self) -> TlsInfo | None:
        """Returns the negotiated parameters of TLS, None before the handshake completes."""
        return self.resource.tls_info()

    def pending(self) -> int:
        """Returns the number of plaintext bytes that are buffered."""
        return len(self._unread) + self.resource.pending()

    def lose_resource(self) -> None:
        """Makes every further operation fail with ECONNRESET."""
        self.resource = host.LOST
        self._failed = True
        self._unread = b""

    def close(self) -> None:
        """Closes the connection of the host."""
        self.resource.__exit__(None, None, None)


def _within(limit: int | None, operation: Callable[[T, int | None], R], argument: T) -> R:
    """Calls a host's operation within SO_RCVTIMEO or SO_SNDTIMEO, in nanoseconds."""
    try:
        return host.call(operation, argument, limit)
    except TimeoutError:
        if limit is None:
            raise
    raise os_error("EAGAIN")
