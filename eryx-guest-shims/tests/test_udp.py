"""UDP sockets: to peers outside, and between sockets of one program."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from conftest import Guest

ALLOWED = """
import errno, socket, time
from wit_world.imports import network, tcp, udp
network.UDP = True

# Error numbers with two names.
NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK"}

def failure(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return type(error).__name__, NAMES.get(error.errno) or errno.errorcode.get(error.errno)
    return None
"""


@contextlib.contextmanager
def udp_echo() -> Iterator[int]:
    """Runs a peer that sends every datagram back, after one from a different socket."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        peer.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.1", 0))

        def run() -> None:
            while True:
                data, source = peer.recvfrom(65535)
                if data == b"stop":
                    return
                stranger.sendto(b"unsolicited", source)
                peer.sendto(data, source)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield peer.getsockname()[1]
        finally:
            stranger.sendto(b"stop", peer.getsockname())
            thread.join()


def test_a_udp_socket_raises_eprotonosupport_unless_udp_is_allowed(guest: Guest) -> None:
    guest("""
        import errno, socket
        from wit_world.imports import udp
        for family in (socket.AF_INET, socket.AF_INET6):
            for proto in (0, socket.IPPROTO_UDP):
                try:
                    socket.socket(family, socket.SOCK_DGRAM, proto)
                except OSError as error:
                    assert error.errno == errno.EPROTONOSUPPORT, error
                    assert "not available" in error.strerror, error
                else:
                    raise AssertionError
        assert not udp.live
    """)


def test_a_udp_socket_receives_from_its_peers_only(guest: Guest) -> None:
    with udp_echo() as port:
        guest(f"""{ALLOWED}
peer = ("127.0.0.1", {port})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
assert s.getsockname() == ("0.0.0.0", 0), s.getsockname()
assert failure(s.getpeername) == ("OSError", "ENOTCONN")
assert failure(s.send, b"x") == ("OSError", "EDESTADDRREQ")
assert s.sendto(b"hello", peer) == 5 and s.sendto(b"again", 0, ("server.test", peer[1])) == 5
assert s.recvfrom(100) == (b"hello", peer)
assert s.recv(100) == b"again"
assert s.getsockname()[1] > 0
assert s.sendmsg([b"in ", b"parts"], [], 0, peer) == 8
assert s.recvmsg(4) == (b"in p", [], socket.MSG_TRUNC, peer)
s.sendto(b"", peer)
assert s.recvmsg(4) == (b"", [], 0, peer)
s.connect(peer)
assert s.getpeername() == peer and s.getsockname()[0] == "127.0.0.1"
s.sendall(b"whole")
assert s.recv(2, socket.MSG_PEEK) == b"wh" and s.recv(100) == b"whole"
s.send(b"into")
into = bytearray(10)
assert s.recvfrom_into(into, 3) == (3, peer) and into[:3] == b"int"
s.send(b"kept")
assert s.recv(0) == b"" and s.recv(10) == b"kept"
s.send(b"two"); s.send(b"views")
first, second = bytearray(2), bytearray(2)
assert s.recvmsg_into([first, second]) == (3, [], 0, peer) and first + second == b"two\\0"
assert s.recv_into(into) == 5 and into[:5] == b"views"
assert failure(s.sendto, bytes(65508), peer) == ("OSError", "EMSGSIZE")
assert failure(s.send, bytes(300000)) == ("OSError", "EMSGSIZE")
before = udp.calls.copy()
s.send(b"x"); s.recv(1)
after = udp.calls
assert (after - before) == {{"udp send": 1, "udp receive": 1}}, after - before
s.close()
assert not udp.live
""")


def test_udp_errors_match_linux(guest: Guest) -> None:
    guest(f"""{ALLOWED}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
assert failure(s.sendto, b"x", ("10.0.0.1", 53)) == ("PermissionError", "EACCES")
assert failure(s.connect, ("10.0.0.1", 53)) == ("PermissionError", "EACCES")
assert failure(s.sendto, b"x", ("denied.test", 53)) == ("PermissionError", "EACCES")
assert failure(s.sendto, b"x", ("nowhere.test", 53))[0] == "gaierror"
assert failure(s.sendto, b"x", ("::1", 53))[0] == "gaierror"
assert failure(six.sendto, b"x", ("127.0.0.1", 53))[0] == "gaierror"
assert failure(s.sendto, b"x", ("server.test", 0)) == ("OSError", "EINVAL")
assert failure(s.bind, ("0.0.0.0", 5353)) == ("OSError", "EADDRNOTAVAIL")
assert failure(s.bind, ("192.0.2.1", 0)) == ("OSError", "EADDRNOTAVAIL")
assert failure(s.listen) == failure(s.accept) == ("OSError", "EOPNOTSUPP")
assert failure(s.shutdown, socket.SHUT_RD) == ("OSError", "ENOTCONN")
assert failure(s.recv, 1, socket.MSG_OOB) == ("OSError", "EOPNOTSUPP")
assert failure(s.setsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) == ("OSError", "ENOPROTOOPT")
assert failure(socket.socket, socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_TCP) == (
    "OSError", "EPROTONOSUPPORT")
assert failure(socket.socket, socket.AF_UNIX, socket.SOCK_DGRAM) == ("OSError", "EAFNOSUPPORT")
for arguments in ((b"x",), (b"x", 0), (b"x", ("127.0.0.1",)), ("text", ("127.0.0.1", 1)), (b"x", 0, None)):
    try:
        s.sendto(*arguments)
    except TypeError:
        pass
    else:
        raise AssertionError(arguments)
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_UDP
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.bind(("", 0))
assert s.getsockname()[0] == "0.0.0.0" and s.getsockname()[1] > 0
assert failure(s.bind, ("", 0)) == ("OSError", "EINVAL")
s.close(); six.close()
assert failure(s.sendto, b"x", ("127.0.0.1", 1)) == ("OSError", "EBADF")
assert not udp.live
""")


def test_a_closed_port_raises_connection_refused_on_a_connected_udp_socket(guest: Guest) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    guest(f"""{ALLOWED}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect(("127.0.0.1", {port}))
s.send(b"x")
assert failure(s.recv, 1) == ("ConnectionRefusedError", "ECONNREFUSED")
s.close()
""")


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
def test_two_udp_sockets_of_one_program_exchange_datagrams_without_the_host(
    guest: Guest, family: str
) -> None:
    guest(f"""{ALLOWED}
family = socket.{family}
here = "127.0.0.1" if family == socket.AF_INET else "::1"
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((here, 0))
client = socket.socket(family, socket.SOCK_DGRAM)
address = server.getsockname()
assert client.sendto(b"hello", address) == 5
data, source = server.recvfrom(100)
assert data == b"hello" and source == (here, *client.getsockname()[1:]), (source, client.getsockname())
server.sendto(b"answer", source)
assert client.recvfrom(3) == (b"ans", address)
client.sendto(b"long", address)
assert server.recvmsg(2) == (b"lo", [], socket.MSG_TRUNC, source)
client.connect(address)
assert client.getpeername() == address and client.getsockname()[0] == here
other = socket.socket(family, socket.SOCK_DGRAM)
other.sendto(b"from a stranger", (here, client.getsockname()[1]))
server.sendto(b"from the peer", source)
assert client.recv(100) == b"from the peer"
assert failure(client.recv, 100, socket.MSG_DONTWAIT) == ("BlockingIOError", "EAGAIN")
assert failure(client.recv, 100) == ("OSError", "EDEADLK")
client.settimeout(0.01)
assert failure(client.recv, 100) == ("TimeoutError", None)
assert failure(client.send, bytes(65528)) == ("OSError", "EMSGSIZE")
client.shutdown(socket.SHUT_RDWR)
assert failure(client.recv, 1) == ("TimeoutError", None)
client.settimeout(None)
assert client.recv(1) == b"" and failure(client.send, b"x") == ("BrokenPipeError", "EPIPE")
other.connect(address)
server.close()
assert other.send(b"x") == 1
assert failure(other.recv, 1) == ("ConnectionRefusedError", "ECONNREFUSED")
assert udp.calls["udp send"] == udp.calls["udp send_to"] == udp.calls["udp receive"] == 0
client.close(); other.close()
from eryx_net import descriptors
from eryx_net.loopback import port_table
assert not udp.live and not descriptors.count() and not port_table.UDP._bindings
""")


def test_a_udp_socket_with_a_fixed_port_sends_to_the_same_program_only(guest: Guest) -> None:
    with udp_echo() as port:
        guest(f"""{ALLOWED}
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 5353))
second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
assert failure(second.bind, ("localhost", 5353)) == ("OSError", "EADDRINUSE")
assert failure(server.sendto, b"x", ("127.0.0.1", {port})) == ("OSError", "EADDRNOTAVAIL")
assert failure(server.connect, ("127.0.0.1", {port})) == ("OSError", "EADDRNOTAVAIL")
second.sendto(b"x", ("localhost", 5353))
assert server.recv(10) == b"x"
assert udp.calls["udp send_to"] == 0
assert socket.getaddrinfo("localhost", 5353, 0, socket.SOCK_DGRAM)[0][4] == ("127.0.0.1", 5353)
server.close(); second.close()
""")


def test_datagrams_beyond_the_queue_capacity_are_dropped(guest: Guest) -> None:
    guest(f"""{ALLOWED}
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(1000):
    assert client.sendto(bytes(1000), server.getsockname()) == 1000
server.setblocking(False)
count = 0
while failure(server.recv, 2000) is None:
    count += 1
assert 100 < count < 300, count
client.sendto(b"space again", server.getsockname())
assert server.recv(100) == b"space again"
server.close(); client.close()
""")


def test_select_poll_and_selectors_report_udp_sockets(guest: Guest) -> None:
    with udp_echo() as port:
        guest(f"""{ALLOWED}
import select, selectors
outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inside.bind(("127.0.0.1", 0))
both = [outside, inside]
assert select.select(both, both, [], 0) == ([], both, [])
outside.sendto(b"to the peer", ("127.0.0.1", {port}))
assert select.select(both, [], [], 10) == ([outside], [], [])
assert outside.recv(100) == b"to the peer"
assert select.select(both, both, [], 0) == ([], both, [])
outside.sendto(b"here", inside.getsockname())
assert select.select(both, [], [], 10) == ([inside], [], [])
poller = select.poll()
poller.register(inside, select.POLLIN)
assert poller.poll(0) == [(inside.fileno(), select.POLLIN)]
inside.recv(100)
assert poller.poll(0) == []
with selectors.DefaultSelector() as selector:
    selector.register(outside, selectors.EVENT_READ)
    outside.connect(("127.0.0.1", {port}))
    outside.send(b"x")
    assert [key.fileobj for key, _ in selector.select(10)] == [outside]
outside.close(); inside.close()
""")


def test_asyncio_datagram_endpoints_reach_peers_and_the_same_program(guest: Guest) -> None:
    with udp_echo() as port:
        guest(f"""{ALLOWED}
import asyncio

class Protocol(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, source):
        self.received.put_nowait((data, source))
    def error_received(self, error):
        self.received.put_nowait((error, None))
    def connection_lost(self, error):
        self.lost.set_result(error)

async def main():
    loop = asyncio.get_running_loop()
    peer = ("127.0.0.1", {port})
    transport, protocol = await loop.create_datagram_endpoint(Protocol, remote_addr=("server.test", peer[1]))
    transport.sendto(b"connected")
    assert await protocol.received.get() == (b"connected", peer)
    transport.close()
    assert await protocol.lost is None

    transport, protocol = await loop.create_datagram_endpoint(Protocol, family=socket.AF_INET)
    transport.sendto(b"unconnected", peer)
    assert await protocol.received.get() == (b"unconnected", peer)
    transport.sendto(b"denied", ("10.0.0.1", 53))
    error, _ = await protocol.received.get()
    assert isinstance(error, PermissionError), error
    transport.close()
    await protocol.lost

    server, serving = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    client, replies = await loop.create_datagram_endpoint(Protocol, remote_addr=address)
    client.sendto(b"inside")
    data, source = await serving.received.get()
    server.sendto(data.upper(), source)
    assert await replies.received.get() == (b"INSIDE", address)
    client.close(); server.close()
    await asyncio.gather(serving.lost, replies.lost)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.setblocking(False)
        assert await loop.sock_sendto(raw, b"raw too", peer) == 7
        assert await loop.sock_recvfrom(raw, 100) == (b"raw too", peer)
        into = bytearray(10)
        await loop.sock_sendto(raw, b"into", peer)
        assert await loop.sock_recvfrom_into(raw, into) == (4, peer)

asyncio.run(main())
assert not udp.live
""")


def test_duplicated_and_detached_descriptors_share_one_udp_socket(guest: Guest) -> None:
    with udp_echo() as port:
        guest(f"""{ALLOWED}
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", {port}))
twin = s.dup()
s.close()
twin.settimeout(10)
twin.send(b"still")
assert twin.recv(10) == b"still"
fd = twin.detach()
again = socket.socket(fileno=fd)
assert (again.family, again.type) == (socket.AF_INET, socket.SOCK_DGRAM)
assert len(udp.live) == 1
again.close()
assert not udp.live
""")


def test_wrapping_a_udp_socket_in_tls_raises_not_implemented_error(guest: Guest) -> None:
    guest(f"""{ALLOWED}
import ssl
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    ssl.create_default_context().wrap_socket(s, server_hostname="server.test")
except NotImplementedError as error:
    assert "stream" in str(error)
else:
    raise AssertionError
s.close()
""")
