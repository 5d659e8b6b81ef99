"""What programs see of the resources that a fork of their session does not have."""

from __future__ import annotations

from conftest import Guest
from servers import echo, serve

LOSE = """
import errno, gc, select, socket
from eryx_net import lost_resources

def lose():
    lost_resources.reset(gc.get_objects())

def is_reset(call, *arguments):
    try:
        call(*arguments)
    except ConnectionResetError:
        return True
    return False
"""


def program(text: str) -> str:
    lines = text.splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return LOSE + "\n".join(line[indent:] for line in lines)


def test_a_lost_connection_is_reset_and_ready(guest: Guest) -> None:
    with serve(echo) as port:
        guest(
            program(f"""
            s = socket.create_connection(("server.test", {port}), timeout=5)
            s.sendall(b"abc")
            assert s.recv(1, socket.MSG_PEEK) == b"a"
            inside = socket.socketpair()
            inside[0].send(b"kept")
            lose()
            assert select.select([s, inside[1]], [s], [], 0) == ([s, inside[1]], [s], [])
            for call in (lambda: s.recv(1), lambda: s.send(b"x")):
                assert is_reset(call)
            try:
                s.getpeername()
            except OSError as error:
                assert error.errno == errno.ENOTCONN
            else:
                raise AssertionError
            poller = select.poll()
            poller.register(s, 0)
            assert poller.poll(0)[0][1] & select.POLLHUP
            assert inside[1].recv(10) == b"kept"
            s.close()
            """)
        )


def test_a_lost_lookup_is_ready_and_fails(guest: Guest) -> None:
    guest(
        program("""
        from eryx_net import descriptors, host
        from eryx_net.dns.lookup_descriptor import Lookup
        lookup = Lookup(host.start_lookup("slow.test", None, "ANY"))
        fd = descriptors.allocate(lookup)
        assert select.select([fd], [], [], 0)[0] == []
        lose()
        assert select.select([fd], [], [], 0)[0] == [fd]
        try:
            lookup.take()
        except socket.gaierror as error:
            assert error.errno == socket.EAI_AGAIN, error
        else:
            raise AssertionError
        descriptors.close(fd)
        """)
    )


def test_a_lost_datagram_socket_is_reset_outside_and_works_inside(guest: Guest) -> None:
    guest(
        program("""
        from wit_world.imports import network
        network.UDP = True
        a = socket.socket(type=socket.SOCK_DGRAM)
        b = socket.socket(type=socket.SOCK_DGRAM)
        b.bind(("127.0.0.1", 4000))
        used = socket.socket(type=socket.SOCK_DGRAM)
        used.sendto(b"outside", ("127.0.0.1", 9))
        lose()
        a.bind(("127.0.0.1", 4001))
        for each in (a, used):
            each.sendto(b"inside", ("127.0.0.1", 4000))
            assert b.recv(10) == b"inside"
        c = socket.socket(type=socket.SOCK_DGRAM)
        c.connect(("127.0.0.1", 9))
        lose()
        assert select.select([c], [c], [], 0) == ([c], [c], [])
        assert is_reset(c.send, b"x") and is_reset(c.recv, 10)
        for each in (a, b, c, used):
            each.close()
        """)
    )


def test_a_lost_tls_session_over_buffers_is_reset(guest: Guest) -> None:
    guest(
        program("""
        import ssl
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = ssl.create_default_context().wrap_bio(
            incoming, outgoing, server_hostname="server.test"
        )
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        lose()
        for call in (session.do_handshake, lambda: session.read(1)):
            assert is_reset(call)
            # asyncio and anyio expect the errors of `ssl` from a session.
            try:
                call()
            except ssl.SSLSyscallError as error:
                assert error.errno == errno.ECONNRESET, error
                assert str(error) == "Connection reset by peer"
            else:
                raise AssertionError
        assert session.version() is None and session.pending() == 0
        """)
    )
