"""A fake `eryx:net/udp` over real loopback sockets."""

import errno
import time
from dataclasses import dataclass
from enum import Enum

import real_modules
from componentize_py_types import Err

from . import network, types
from .tcp import calls, to_err

live = set()
"""The open sockets."""


class Family(Enum):
    IPV4 = 0
    IPV6 = 1


@dataclass
class Datagram:
    data: bytes
    size: int
    source: types.Endpoint


class Socket:
    @classmethod
    def open(cls, family):
        calls["udp open"] += 1
        if not network.UDP:
            raise Err(types.Error_Denied("datagram sockets are not available in this sandbox"))
        self = cls()
        live.add(self)
        self.error = None
        self.peers = set()
        self.family = (
            real_modules.socket.AF_INET if family is Family.IPV4 else real_modules.socket.AF_INET6
        )
        self.sock = real_modules.socket.socket(self.family, real_modules.socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        return self

    def pending(self):
        return 0

    def bind(self):
        calls["udp bind"] += 1
        if self.local_endpoint().port == 0:
            any_address = "0.0.0.0" if self.family == real_modules.socket.AF_INET else "::"
            self.sock.bind((any_address, 0))
        return self.local_endpoint()

    def check_policy(self, host, port):
        address = network.check_policy(host, port)
        assert address == host, "the guest resolves names"
        self.peers.add((host, port))
        return host, port

    def connect(self, host, port):
        calls["udp connect"] += 1
        self.sock.connect(self.check_policy(host, port))

    def send(self, data, timeout):
        calls["udp send"] += 1
        self.transmit(lambda: self.sock.send(data))

    def send_to(self, data, host, port, timeout):
        calls["udp send_to"] += 1
        assert type(data) is bytes
        address = self.check_policy(host, port)
        self.transmit(lambda: self.sock.sendto(data, address))

    def transmit(self, step):
        try:
            step()
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                raise Err(types.Error_MessageTooLong()) from None
            raise to_err(error) from None

    def receive(self, max, timeout):
        calls["udp receive"] += 1
        deadline = time.monotonic() + (60 if timeout is None else timeout / 1e9)
        while True:
            try:
                data, source = self.sock.recvfrom(65535)
            except BlockingIOError:
                if timeout == 0:
                    raise Err(types.Error_WouldBlock()) from None
                left = deadline - time.monotonic()
                if left <= 0 or not real_modules.select.select([self.sock], [], [], left)[0]:
                    raise Err(types.Error_TimedOut()) from None
                continue
            except OSError as error:
                raise to_err(error) from None
            if source[:2] in self.peers:
                return Datagram(data[:max], len(data), types.Endpoint(*source[:2]))

    def local_endpoint(self):
        return types.Endpoint(*self.sock.getsockname()[:2])

    def take_error(self):
        code = self.sock.getsockopt(real_modules.socket.SOL_SOCKET, real_modules.socket.SO_ERROR)
        if code:
            raise to_err(OSError(code, ""))

    def peer_endpoint(self):
        return types.Endpoint(*self.sock.getpeername()[:2])

    def __exit__(self, *exc_info):
        assert self in live, "closed twice"
        live.discard(self)
        self.sock.close()
