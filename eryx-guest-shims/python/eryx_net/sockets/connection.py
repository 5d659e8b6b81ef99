"""A connection of the host, as the channel of a socket."""

from __future__ import annotations

import contextlib

from .. import host
from ..errors import os_error
from ..host import NON_BLOCKING, HostConnection, TlsInfo


class Connection:
    """A connection of the host: first connecting, then established.

    `established` is set once the host reports it. Until then every operation first waits for that,
    within its own timeout.
    """

    __slots__ = ("_failed", "_pending_options", "_unread", "established", "resource")

    def __init__(self, name: str, port: int) -> None:
        self.resource: HostConnection = host.connect(name, port)
        self.established = False
        self._failed = False
        self._unread = b""
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

    def read(self, size: int, timeout: int | None) -> bytes:
        """Returns up to `size` bytes; none at the end of the stream."""
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        if not self.established:
            self.finish_connect(timeout)
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
        if not self.established:
            self.finish_connect(timeout)
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
        """Returns the peer's address, None before the connection is established."""
        if not self.established:
            return None
        endpoint = host.call(self.resource.peer_endpoint)
        return endpoint.address, endpoint.port

    def set_option(self, name: str, value: int) -> None:
        """Sets an option of the host's socket, now or once the connection is established."""
        if not self.established:
            self._pending_options[name] = value
        elif name == "no_delay":
            host.call(self.resource.set_no_delay, bool(value))
        elif name == "keep_alive":
            host.call(self.resource.set_keep_alive, bool(value))
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
