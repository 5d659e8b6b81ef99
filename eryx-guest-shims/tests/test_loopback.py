"""Socket pairs and listeners inside the sandbox, through CPython's own `socket.py`."""

from __future__ import annotations

from conftest import Guest


def test_a_socket_pair_transfers_bytes_in_both_directions(guest: Guest) -> None:
    guest("""
        import socket
        a, b = socket.socketpair()
        assert a.family == socket.AF_UNIX and a.getsockname() == a.getpeername() == ""
        a.send(b"ping"); b.send(b"pong")
        assert b.recv(2) == b"pi" and b.recv(10) == b"ng" and a.recv(10) == b"pong"
        a.shutdown(socket.SHUT_WR)
        assert b.recv(1) == b""
        b.send(b"still")
        assert a.recv(9) == b"still"
        try:
            a.send(b"x")
        except BrokenPipeError:
            pass
        else:
            raise AssertionError
        a.close()
        assert b.recv(1) == b""
        try:
            b.send(b"x")
        except BrokenPipeError:
            pass
        else:
            raise AssertionError
        b.close()
        from wit_world.imports import tcp
        assert not tcp.calls
    """)


def test_a_write_of_no_bytes_does_not_reset_a_connection_whose_peer_has_closed(
    guest: Guest,
) -> None:
    guest("""
        import select, socket
        with socket.create_server(("127.0.0.1", 0)) as listener:
            a = socket.create_connection(listener.getsockname())
            b, _ = listener.accept()
        b.close()
        poller = select.poll()
        poller.register(a, select.POLLIN)
        for send in (a.send, a.sendall):
            send(b"")
            assert poller.poll(0) == [(a.fileno(), select.POLLIN)]
            assert a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        a.send(b"x")
        assert poller.poll(0) == [(a.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)]
        a.close()
    """)


def test_the_buffer_of_a_socket_pair_is_bounded(guest: Guest) -> None:
    guest("""
        import socket
        a, b = socket.socketpair()
        a.setblocking(False)
        sent = 0
        try:
            while True:
                sent += a.send(bytes(10_000))
        except BlockingIOError:
            pass
        assert 32_768 <= sent <= 1 << 20, sent
        got = 0
        b.setblocking(False)
        try:
            while True:
                got += len(b.recv(7_777))
        except BlockingIOError:
            pass
        assert got == sent
        a.send(b"space again")
        a.close(); b.close()
    """)


def test_closing_with_unread_bytes_resets_the_other_end_once(guest: Guest) -> None:
    guest("""
        import socket
        a, b = socket.socketpair()
        a.send(b"never read"); b.send(b"in time")
        b.close()
        for send in (a.send, a.sendall):
            try:
                send(b"x")
            except BrokenPipeError:
                pass
            else:
                raise AssertionError
        assert a.recv(100) == b"in time"
        try:
            a.recv(1)
        except ConnectionResetError:
            pass
        else:
            raise AssertionError
        assert a.recv(1) == b""
        a.close()
    """)


def test_an_operation_that_can_never_complete_raises_edeadlk_or_times_out(guest: Guest) -> None:
    guest("""
        import errno, socket, time
        a, b = socket.socketpair()
        listener = socket.create_server(("127.0.0.1", 0))
        full, rest = socket.socketpair()
        full.setblocking(False)
        try:
            while True:
                full.send(bytes(65536))
        except BlockingIOError:
            pass
        full.setblocking(True)
        for step in (lambda: a.recv(1), lambda: listener.accept(), lambda: full.sendall(b"x")):
            try:
                step()
            except OSError as error:
                assert error.errno == errno.EDEADLK and "other thread" in str(error), error
            else:
                raise AssertionError
        for s, step in ((a, lambda: a.recv(1)), (listener, listener.accept)):
            s.settimeout(0.05)
            started = time.monotonic()
            try:
                step()
            except TimeoutError as error:
                assert str(error) == "timed out"
            else:
                raise AssertionError
            assert time.monotonic() - started > 0.04
            s.setblocking(False)
            try:
                step()
            except BlockingIOError:
                pass
            else:
                raise AssertionError
        for s in (a, b, listener, full, rest):
            s.close()
    """)


def test_a_listener_accepts_connections_of_the_program_without_the_host(guest: Guest) -> None:
    guest("""
        import select, socket
        from wit_world.imports import tcp
        for bound, target in (
            ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("", "127.9.9.9"),
            ("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("", "localhost"),
        ):
            listener = socket.create_server((bound, 0))
            port = listener.getsockname()[1]
            assert port >= 49152
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
            assert select.select([listener], [], [], 0)[0] == []
            client = socket.create_connection((target, port), timeout=1)
            assert select.select([listener], [], [], 0)[0] == [listener]
            server, address = listener.accept()
            assert address == client.getsockname() and address[1] != port
            assert server.getsockname() == client.getpeername()
            assert server.gettimeout() is None
            client.sendall(b"hello")
            assert server.recv(10) == b"hello"
            for s in (client, server, listener):
                s.close()
        assert tcp.calls["connect"] <= 1, tcp.calls  # ::1 of localhost, before 127.0.0.1
    """)


def test_an_ipv6_listener_accepts_both_families_without_v6only(guest: Guest) -> None:
    guest("""
        import socket
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, address = listener.accept()
            assert address[0] == "::ffff:127.0.0.1" and len(address) == 4
            server.close()
        with socket.create_connection(("::1", port)) as client:
            server, address = listener.accept()
            assert address[0] == "::1"
            server.close()
        listener.close()
        listener = socket.create_server(("::", 7007), family=socket.AF_INET6)
        try:
            socket.create_connection(("127.0.0.1", 7007), timeout=1)
        except ConnectionRefusedError:
            pass
        else:
            raise AssertionError
        other = socket.create_server(("127.0.0.1", 7007))
        other.close()
        listener.close()
    """)


def test_a_port_is_bound_until_its_socket_is_closed(guest: Guest) -> None:
    guest("""
        import errno, socket
        def fails(step, number):
            try:
                step()
            except OSError as error:
                assert error.errno == number, error
            else:
                raise AssertionError(number)
        a = socket.socket()
        a.bind(("127.0.0.1", 8080))
        b = socket.socket()
        fails(lambda: b.bind(("127.0.0.1", 8080)), errno.EADDRINUSE)
        fails(lambda: b.bind(("", 8080)), errno.EADDRINUSE)
        fails(lambda: b.bind(("192.0.2.1", 0)), errno.EADDRNOTAVAIL)
        try:
            b.bind(("example.test", 0))
        except socket.gaierror:
            pass
        else:
            raise AssertionError
        b.bind(("127.0.0.2", 8080))
        fails(lambda: b.bind(("127.0.0.1", 8081)), errno.EINVAL)
        assert b.getsockname() == ("127.0.0.2", 8080)
        a.close()
        c = socket.socket()
        c.bind(("127.0.0.1", 8080))
        c.listen()
        fails(lambda: c.connect(("127.0.0.1", 8080)), errno.EISCONN)
        fails(lambda: c.recv(1), errno.ENOTCONN)
        fails(lambda: c.send(b"x"), errno.EPIPE)
        d = socket.socket()
        d.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fails(lambda: d.bind(("127.0.0.1", 8080)), errno.EADDRINUSE)
        for s in (b, c, d):
            s.close()
        from eryx_net import descriptors
        from eryx_net.loopback import port_table
        assert descriptors.count() == 0 and not port_table.TCP._bindings
    """)


def test_a_listener_refuses_connections_beyond_its_backlog(guest: Guest) -> None:
    guest("""
        import socket
        listener = socket.create_server(("127.0.0.1", 0), backlog=2)
        held = []
        try:
            for _ in range(10):
                held.append(socket.create_connection(listener.getsockname()))
        except ConnectionRefusedError:
            pass
        assert len(held) == 3
        listener.close()
        try:
            held[0].recv(1)
        except ConnectionResetError:
            pass
        else:
            raise AssertionError
        for s in held:
            s.close()
    """)


def test_an_http_server_and_its_client_run_in_one_thread(guest: Guest) -> None:
    guest("""
        import http.server, socket
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            def log_message(self, *args):
                pass
        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            client = socket.create_connection(server.server_address)
            client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            server.handle_request()
            with client.makefile("rb") as f:
                assert f.read().endswith(b"\\r\\n\\r\\nok")
            client.close()
    """)
