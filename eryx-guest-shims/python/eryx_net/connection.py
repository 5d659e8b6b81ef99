"""A host connection as a channel of a socket."""

from __future__ import annotations

import contextlib

from . import host
from .failures import failure
from .host import AT_ONCE, HostConnection, TlsInfo


class Connection:
    """A connection the host holds: connecting, then open.

    `established` turns true once the host says so; until then every operation first waits for it,
    within its own timeout.
    """

    __slots__ = ("_failed", "_pending_options", "_unread", "established", "resource")

    def __init__(self, name: str, port: int) -> None:
        self.resource: HostConnection = host.connect(name, port)
        self.established = False
        self._failed = False
        self._unread = b""
        self._pending_options: dict[str, int] = {}

    def finish(self, timeout: int | None) -> None:
        """Wait until connected. Raises BlockingIOError, TimeoutError, or why it failed."""
        if self.established:
            return
        try:
            host.call(self.resource.finish_connect, timeout)
        except BlockingIOError:
            raise
        except OSError:
            # For good: the host repeats it to whoever asks again.
            self._failed = True
            raise
        self.established = True
        for name, value in self._pending_options.items():
            self.set_option(name, value)
        self._pending_options.clear()

    def read(self, size: int, timeout: int | None) -> bytes:
        """Up to `size` bytes; none at the end of the stream."""
        if self._unread:
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        if not self.established:
            self.finish(timeout)
        # As `host.call`, without the call: nothing is done as often as this and `write`.
        try:
            return self.resource.read(size, timeout)
        except host.interfaces().Err as error:
            failed = [host.told(error)]
        raise failed.pop()

    def peek(self, size: int, timeout: int | None) -> bytes:
        """Like `read`, but the bytes stay."""
        if not self._unread:
            # Ahead of what is asked, so that the read that follows gets as much as it would have.
            self._unread = self.read(max(size, host.LARGEST_PEEK), timeout)
        elif len(self._unread) < size:
            with contextlib.suppress(BlockingIOError):
                unread, self._unread = self._unread, b""
                try:
                    unread += self.read(size, AT_ONCE)
                finally:
                    self._unread = unread
        return self._unread[:size]

    def write(self, data: bytes, timeout: int | None) -> int:
        """Send, and say how much of it was taken."""
        if not self.established:
            self.finish(timeout)
        try:
            return self.resource.write(data, timeout)
        except host.interfaces().Err as error:
            failed = [host.told(error)]
        raise failed.pop()

    def shutdown(self, how: int) -> None:
        """End receiving (0), sending (1) or both (2)."""
        if not self.established:
            raise failure("ENOTCONN")
        host.call(self.resource.shutdown, host.interfaces().tcp.ShutdownType(how))

    def local(self) -> tuple[str, int] | None:
        """This side's address, None while it has none."""
        try:
            end = host.call(self.resource.local_endpoint)
        except OSError:
            return None
        return end.address, end.port

    def peer(self) -> tuple[str, int] | None:
        """The peer's address, None while there is none."""
        if not self.established:
            return None
        end = host.call(self.resource.peer_endpoint)
        return end.address, end.port

    def set_option(self, name: str, value: int) -> None:
        """Set an option of the host's socket, now or as soon as there is a connection."""
        if not self.established:
            self._pending_options[name] = value
        elif name == "no_delay":
            host.call(self.resource.set_no_delay, bool(value))
        elif name == "keep_alive":
            host.call(self.resource.set_keep_alive, bool(value))
        else:
            setting = host.interfaces().tcp.KeepaliveOption[name.upper()]
            host.call(self.resource.set_keepalive_option, setting, value)

    def readable_now(self) -> bool | None:
        """True if known without asking the host, None if it has to be asked."""
        return True if self._unread or self._failed else None

    def writable_now(self) -> bool | None:
        """True if known without asking the host, None if it has to be asked."""
        return True if self._failed else None

    def hung_up(self) -> bool:
        """Whether the connect failed."""
        return self._failed

    def start_tls(self, config: object, timeout: int | None) -> None:
        """Turn into TLS, or go on doing so. The host judges the name in `config`."""
        self.finish(timeout)
        if self._unread:
            raise failure("EINVAL", "bytes were peeked at before TLS began; read them first")
        host.call(self.resource.start_tls, config, timeout)

    def end_tls(self, timeout: int | None) -> None:
        """Exchange close_notify and go back to a plain connection."""
        host.call(self.resource.end_tls, timeout)

    def tls_info(self) -> TlsInfo | None:
        """What the handshake agreed on."""
        return self.resource.tls_info()

    def pending(self) -> int:
        """Bytes of plaintext that are already here."""
        return len(self._unread) + self.resource.pending()

    def close(self) -> None:
        """Give the connection back to the host."""
        self.resource.__exit__(None, None, None)
