"""A fake `eryx:net/tcp` over real loopback sockets."""

import errno
import struct
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum

import real_modules
from componentize_py_types import Err

from . import network, tls, types

calls = Counter()
"""The number of calls of each function, for assertions of tests."""

live = set()
"""The open connections."""

LARGEST_READ = 1 << 20


class KeepaliveOption(Enum):
    IDLE = 0
    INTERVAL = 1
    COUNT = 2


@dataclass
class ConnectionStatus:
    read_closed: bool
    hung_up: bool
    has_error: bool


class ShutdownType(Enum):
    RECEIVE = 0
    SEND = 1
    BOTH = 2


def to_err(error):
    """Returns the error of the WIT contract for an exception of a real socket."""
    if isinstance(error, (BlockingIOError, real_modules.ssl.SSLWantReadError)):
        return Err(types.Error_WouldBlock())
    if isinstance(error, real_modules.ssl.SSLError):
        return Err(types.Error_Tls(tls.tls_error(error)))
    cases = {
        errno.ECONNREFUSED: types.Error_ConnectionRefused,
        errno.ECONNRESET: types.Error_ConnectionReset,
        errno.EPIPE: types.Error_BrokenPipe,
        errno.ENOTCONN: types.Error_NotConnected,
        errno.ENETUNREACH: types.Error_NetworkUnreachable,
        errno.EHOSTUNREACH: types.Error_HostUnreachable,
        errno.EADDRNOTAVAIL: types.Error_AddressNotAvailable,
        errno.ENOBUFS: types.Error_NoBufferSpace,
        errno.ENOMEM: types.Error_NoBufferSpace,
    }
    if error.errno in cases:
        return Err(cases[error.errno]())
    return Err(types.Error_Other(str(error)))


class Connection:
    def __init__(self):
        self.sock = None
        self.stalled = False
        self.error = None
        self.connected = False
        self.session = None
        self.config = None
        self.options = {}

    @classmethod
    def connect(cls, host, port):
        calls["connect"] += 1
        address = network.check_policy(host, port)
        if len(live) >= network.MAX_CONNECTIONS:
            raise Err(types.Error_LimitReached("max_connections is 64"))
        self = cls()
        live.add(self)
        if isinstance(address, Err):
            self.error = address
            return self
        if address == "stall":
            self.stalled = True
            return self
        family = real_modules.socket.AF_INET6 if ":" in address else real_modules.socket.AF_INET
        self.sock = real_modules.socket.socket(family)
        self.sock.setblocking(False)
        code = self.sock.connect_ex((address, port))
        if code not in (0, errno.EINPROGRESS):
            self.error = to_err(OSError(code, ""))
        return self

    def wait(self, event, timeout, deadline):
        """Waits for the real socket. Raises `Err` after the timeout."""
        if timeout == 0:
            raise Err(types.Error_WouldBlock())
        left = None if deadline is None else deadline - time.monotonic()
        if self.stalled:
            time.sleep(min(left or 60, 60))
            raise Err(types.Error_TimedOut())
        poller = real_modules.select.poll()
        poller.register(self.sock, event)
        milliseconds = 60_000 if left is None else max(0, left) * 1000 + 1
        if (left is not None and left <= 0) or not poller.poll(milliseconds):
            raise Err(types.Error_TimedOut())

    def retry(self, event, timeout, step):
        """Repeats `step` until it no longer has to wait."""
        deadline = None if timeout is None else time.monotonic() + timeout / 1e9
        while True:
            try:
                return step()
            except BlockingIOError:
                pass
            except real_modules.ssl.SSLWantReadError:
                event = real_modules.select.POLLIN
            except Err:
                raise
            except OSError as error:
                raise to_err(error) from None
            self.wait(event, timeout, deadline)

    def finish_connect(self, timeout):
        calls["finish_connect"] += 1
        if self.error is not None:
            raise Err(self.error.value)

        def step():
            if self.stalled or not real_modules.select.select([], [self.sock], [], 0)[1]:
                raise BlockingIOError
            code = self.sock.getsockopt(
                real_modules.socket.SOL_SOCKET, real_modules.socket.SO_ERROR
            )
            if code:
                self.error = to_err(OSError(code, ""))
                raise Err(self.error.value)
            self.connected = True

        self.retry(real_modules.select.POLLOUT, timeout, step)

    def read(self, max, timeout):
        calls["read"] += 1
        calls["largest read"] = max if max > calls["largest read"] else calls["largest read"]
        size = min(max, LARGEST_READ)
        if self.session is not None:
            return self.retry(
                real_modules.select.POLLIN,
                timeout,
                lambda: self.session.socket_read(self.sock, size),
            )
        return self.retry(real_modules.select.POLLIN, timeout, lambda: self.sock.recv(size))

    def write(self, data, timeout):
        calls["write"] += 1
        assert type(data) is bytes
        if self.session is not None:
            return self.retry(
                real_modules.select.POLLOUT,
                timeout,
                lambda: self.session.socket_write(self.sock, data),
            )
        return self.retry(real_modules.select.POLLOUT, timeout, lambda: self.sock.send(data))

    def shutdown(self, how):
        calls["shutdown"] += 1
        try:
            self.sock.shutdown(how.value)
        except OSError as error:
            raise to_err(error) from None

    def local_endpoint(self):
        if not self.connected:
            raise Err(types.Error_NotConnected())
        return types.Endpoint(*self.sock.getsockname()[:2])

    def peer_endpoint(self):
        try:
            return types.Endpoint(*self.sock.getpeername()[:2])
        except OSError as error:
            raise to_err(error) from None

    def set_no_delay(self, enabled):
        assert self.connected
        self.options["no_delay"] = enabled
        self.sock.setsockopt(
            real_modules.socket.IPPROTO_TCP, real_modules.socket.TCP_NODELAY, enabled
        )

    def set_keep_alive(self, enabled):
        assert self.connected
        self.options["keep_alive"] = enabled
        self.sock.setsockopt(
            real_modules.socket.SOL_SOCKET, real_modules.socket.SO_KEEPALIVE, enabled
        )

    def set_keepalive_option(self, setting, value):
        assert self.connected
        self.options[setting.name] = value

    def start_tls(self, config, timeout):
        calls["start_tls"] += 1
        if self.session is None:
            self.session = tls.Session.client(config)
            self.config = config
        assert self.config == config
        self.retry(
            real_modules.select.POLLIN, timeout, lambda: self.session.socket_handshake(self.sock)
        )

    def end_tls(self, timeout):
        calls["end_tls"] += 1
        self.retry(
            real_modules.select.POLLIN, timeout, lambda: self.session.socket_close(self.sock)
        )
        self.session = None

    def tls_info(self):
        return self.session.info() if self.session is not None else None

    def pending(self):
        return self.session.pending() if self.session is not None else 0

    def status(self):
        calls["status"] += 1
        poller = real_modules.select.poll()
        poller.register(self.sock, real_modules.select.POLLRDHUP)
        events = dict(poller.poll(0)).get(self.sock.fileno(), 0)
        return ConnectionStatus(
            bool(events & real_modules.select.POLLRDHUP),
            bool(events & real_modules.select.POLLHUP),
            bool(events & real_modules.select.POLLERR),
        )

    def take_error(self):
        code = self.sock.getsockopt(real_modules.socket.SOL_SOCKET, real_modules.socket.SO_ERROR)
        if code:
            raise to_err(OSError(code, ""))

    def set_reset_on_close(self, enabled):
        assert self.connected
        self.options["reset_on_close"] = enabled
        self.sock.setsockopt(
            real_modules.socket.SOL_SOCKET,
            real_modules.socket.SO_LINGER,
            struct.pack("ii", enabled, 0),
        )

    def set_user_timeout(self, milliseconds):
        assert self.connected
        self.options["user_timeout"] = milliseconds

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        assert self in live, "closed twice"
        live.discard(self)
        if self.sock is not None:
            self.sock.close()
