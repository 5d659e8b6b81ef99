"""Sockets over the host's connections, through CPython's own `socket.py`."""

from __future__ import annotations

import pytest

from conftest import Guest
from servers import closed_port, echo, reset, serve, silent


def test_a_blocking_socket_sends_and_receives(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import socket
            s = socket.create_connection(("server.test", {port}), timeout=5)
            assert s.family == socket.AF_INET and s.type == socket.SOCK_STREAM, s
            assert s.getpeername() == ("127.0.0.1", {port})
            assert s.getsockname()[0] == "127.0.0.1" and s.getsockname()[1] > 0
            s.sendall(b"hello")
            assert s.recv(100) == b"hello"
            into = bytearray(10)
            s.sendall(b"again")
            assert s.recv_into(into) == 5 and into[:5] == b"again"
            s.shutdown(socket.SHUT_WR)
            assert s.recv(1) == b""
            s.close()
            assert s.fileno() == -1
            from wit_world.imports import tcp
            assert not tcp.live
        """)


def test_sizes_and_flags_that_are_not_integers_raise_type_error(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import socket

            class Five:
                def __index__(self):
                    return 5

            s = socket.create_connection(("server.test", {port}), timeout=5)
            s.sendall(b"hello again")
            assert s.recv(Five()) == b"hello"
            assert s.recvfrom(True)[0] == b" "
            assert s.recv_into(memoryview(bytearray(10)), Five()) == 5
            calls = [
                lambda wrong: s.recv(wrong),
                lambda wrong: s.recv(1, wrong),
                lambda wrong: s.recvfrom(wrong),
                lambda wrong: s.recv_into(memoryview(bytearray(1)), wrong),
                lambda wrong: s.recv_into(bytearray(1), wrong),
                lambda wrong: s.recv_into(bytearray(1), 1, wrong),
                lambda wrong: s.send(b"x", wrong),
                lambda wrong: s.sendall(b"x", wrong),
            ]
            for number, call in enumerate(calls):
                for wrong in None, "", [], "1":
                    try:
                        call(wrong)
                    except TypeError:
                        continue
                    raise AssertionError((number, wrong))
        """)


def test_a_makefile_keeps_the_stream_open_after_the_socket_is_closed(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import socket
            from wit_world.imports import tcp
            s = socket.create_connection(("server.test", {port}))
            s.sendall(b"first\\nsecond\\n")
            f = s.makefile("rb")
            s.close()
            assert f.readline() == b"first\\n" and f.readline() == b"second\\n"
            assert len(tcp.live) == 1
            f.close()
            assert not tcp.live
        """)


def test_a_large_body_is_received_in_few_host_calls(guest: Guest) -> None:
    def body(peer):
        peer.sendall(bytes(range(256)) * 8192)

    with serve(body) as port:
        guest(f"""
            import socket
            from wit_world.imports import tcp
            s = socket.create_connection(("server.test", {port}))
            f = s.makefile("rb")
            data = f.read()
            assert data == bytes(range(256)) * 8192
            assert tcp.calls["read"] < 1000, tcp.calls
            f.close(); s.close()
        """)


def test_sendall_sends_all_bytes_of_a_buffer_with_larger_items(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import array, socket, _thread
            s = socket.create_connection(("server.test", {port}), timeout=10)
            numbers = array.array("i", range(1000))
            s.sendall(numbers)
            got = b""
            while len(got) < 4000:
                got += s.recv(65536)
            assert got == numbers.tobytes()
            assert s.send(array.array("d", [1.0])) == 8
            assert s.recv(8, socket.MSG_WAITALL) == array.array("d", [1.0]).tobytes()
            try:
                s.send(memoryview(b"abcdef")[::2])
            except BufferError:
                pass
            else:
                raise AssertionError("a non-contiguous view was sent")
            try:
                s.send("text")
            except TypeError as error:
                assert str(error) == "a bytes-like object is required, not 'str'", error
            s.close()
        """)


def test_sendall_writes_a_large_buffer_in_parts(guest: Guest) -> None:
    total = []

    def count(peer):
        n = 0
        while data := peer.recv(1 << 20):
            n += len(data)
            if n == 5 << 20:
                break
        total.append(n)
        peer.sendall(b"%d" % n)

    with serve(count) as port:
        guest(f"""
            import socket
            from wit_world.imports import tcp
            s = socket.create_connection(("server.test", {port}), timeout=10)
            s.sendall(bytearray(5 << 20))
            assert int(s.recv(100)) == 5 << 20
            assert tcp.calls["write"] >= 20
            s.close()
        """)
    assert total == [5 << 20]


def test_the_size_of_a_huge_recv_is_clamped(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import socket
            from wit_world.imports import tcp
            s = socket.create_connection(("server.test", {port}), timeout=10)
            s.sendall(b"x")
            assert s.recv(2**31) == b"x"
            assert tcp.calls["largest read"] <= 1 << 20
            try:
                s.recv(-1)
            except ValueError as error:
                assert "negative" in str(error)
            assert s.recv(0) == b""
            s.close()
        """)


def test_sendmsg_and_recvmsg_on_a_stream_have_no_ancillary_data(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import socket
            s = socket.create_connection(("server.test", {port}), timeout=10)
            assert s.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"e")]) == 5
            assert s.recvmsg(2) == (b"ab", [], 0, None)
            first, second = bytearray(1), bytearray(9)
            assert s.recvmsg_into([first, second]) == (3, [], 0, None)
            assert first == b"c" and second[:2] == b"de"
            try:
                s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"")])
            except OSError:
                pass
            else:
                raise AssertionError
            s.close()
        """)


def test_msg_peek_does_not_consume_bytes(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import select, socket
            s = socket.create_connection(("server.test", {port}), timeout=10)
            s.sendall(b"abc")
            assert s.recv(1, socket.MSG_PEEK) == b"a"
            assert select.select([s], [], [], 0)[0] == [s]
            assert s.recv(2) == b"ab" and s.recv(10) == b"c"
            s.close()
        """)


def test_timeouts_match_cpython(guest: Guest) -> None:
    with serve(silent) as port:
        guest(f"""
            import errno, socket, time
            s = socket.create_connection(("server.test", {port}))
            assert s.gettimeout() is None and s.getblocking()
            s.settimeout(0.05)
            started = time.monotonic()
            try:
                s.recv(1)
            except TimeoutError as error:
                assert str(error) == "timed out" and error.errno is None
            else:
                raise AssertionError("no timeout")
            assert 0.04 < time.monotonic() - started < 5
            s.setblocking(False)
            assert s.timeout == 0.0
            try:
                s.recv(1)
            except BlockingIOError as error:
                assert error.errno == errno.EAGAIN
            else:
                raise AssertionError("no would-block")
            for bad, kind in ((-1, ValueError), ("1", TypeError), (float("nan"), ValueError)):
                try:
                    s.settimeout(bad)
                except kind:
                    pass
                else:
                    raise AssertionError(bad)
            socket.setdefaulttimeout(2.5)
            with socket.socket() as fresh:
                assert fresh.gettimeout() == 2.5
            socket.setdefaulttimeout(None)
            s.close()
        """)


def test_sendall_has_one_deadline_for_all_its_writes(guest: Guest) -> None:
    import time

    def slow_reader(peer):
        for _ in range(200):
            time.sleep(0.05)
            if not peer.recv(1 << 20):
                return

    with serve(slow_reader) as port:
        guest(f"""
            import socket, time
            s = socket.create_connection(("server.test", {port}))
            s.settimeout(0.4)
            started = time.monotonic()
            try:
                s.sendall(bytes(256 << 20))
            except TimeoutError as error:
                assert str(error) == "timed out"
            else:
                raise AssertionError("256 MiB were sent")
            assert time.monotonic() - started < 5
            s.close()
        """)


@pytest.mark.parametrize(
    ("name", "exception", "check"),
    [
        ("denied.test", "PermissionError", "error.errno == errno.EACCES and 'rule' in str(error)"),
        ("missing.test", "socket.gaierror", "error.errno == socket.EAI_NONAME"),
        ("again.test", "socket.gaierror", "error.errno == socket.EAI_AGAIN"),
        ("10.0.0.1", "PermissionError", "error.errno == errno.EACCES"),
        ("192.0.2.1", "TimeoutError", "str(error) == 'timed out'"),
        ("::1", "socket.gaierror", "error.errno == socket.EAI_ADDRFAMILY"),
        ("127.0.0.1", "ConnectionRefusedError", "error.errno == errno.ECONNREFUSED"),
    ],
)
def test_a_failed_connect_raises_the_same_error_as_cpython(
    guest: Guest, name: str, exception: str, check: str
) -> None:
    guest(f"""
        import errno, socket
        from wit_world.imports import tcp
        s = socket.socket()
        s.settimeout(0.1)
        try:
            s.connect(({name!r}, {closed_port()}))
        except {exception} as error:
            assert {check}, error
        else:
            raise AssertionError("connected")
        assert not tcp.live
        s.close()
    """)


@pytest.mark.parametrize("operation", ["connect", "connect_ex", "bind", "sendto"])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_a_host_that_no_socket_can_have_is_gaierror_even_on_a_closed_socket(
    guest: Guest, operation: str, kind: str
) -> None:
    guest(f"""
        import socket
        from wit_world.imports import network
        network.UDP = True
        s = socket.socket(type=socket.{kind})
        operate = s.{operation} if {operation!r} != "sendto" else lambda to: s.sendto(b"x", to)
        for closed in (False, True):
            for host, number in (("a b", socket.EAI_NONAME), ("::1", socket.EAI_ADDRFAMILY)):
                try:
                    operate((host, 80))
                except socket.gaierror as error:
                    assert error.errno == number, error
                else:
                    raise AssertionError(host)
            s.close()
    """)


def test_exceptions_of_the_bindings_are_never_visible(guest: Guest) -> None:
    guest(f"""
        import socket, traceback
        for step in (
            lambda: socket.create_connection(("denied.test", 80)),
            lambda: socket.create_connection(("127.0.0.1", {closed_port()})),
            lambda: socket.getaddrinfo("missing.test", 80),
        ):
            try:
                step()
            except OSError as error:
                assert "Err" not in traceback.format_exc().replace("Errno", "").replace("Error", "")
                while error is not None:
                    assert isinstance(error, OSError), error
                    error.__traceback__ = None
                    error = error.__context__
            else:
                raise AssertionError
    """)


def test_a_non_blocking_connect_reports_the_errors_of_posix(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import errno, select, socket
            s = socket.socket()
            s.setblocking(False)
            assert s.connect_ex(("stall.test", 1)) == errno.EINPROGRESS
            assert s.connect_ex(("stall.test", 1)) == errno.EALREADY
            assert select.select([], [s], [], 0) == ([], [], [])
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            s.close()

            s = socket.socket()
            s.setblocking(False)
            try:
                s.connect(("127.0.0.1", {port}))
            except BlockingIOError as error:
                assert error.errno == errno.EINPROGRESS
            assert select.select([], [s], [], 5)[1] == [s]
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            s.connect_ex(("127.0.0.1", {port}))
            assert s.connect_ex(("127.0.0.1", {port})) == errno.EISCONN
            s.setblocking(True)
            s.sendall(b"x")
            assert s.recv(1) == b"x"
            s.close()

            s = socket.socket()
            s.setblocking(False)
            code = s.connect_ex(("127.0.0.1", {closed_port()}))
            if code == errno.EINPROGRESS:
                poller = select.poll()
                poller.register(s, select.POLLOUT)
                [(fd, events)] = poller.poll(5000)
                assert fd == s.fileno() and events & select.POLLERR, events
                code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            assert code == errno.ECONNREFUSED, code
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            s.close()
        """)


def test_a_reset_raises_connection_reset_error(guest: Guest) -> None:
    with serve(reset) as port:
        guest(f"""
            import socket
            s = socket.create_connection(("server.test", {port}), timeout=5)
            s.sendall(b"x")
            try:
                while s.recv(10):
                    pass
            except ConnectionResetError:
                pass
            else:
                raise AssertionError("no reset")
            s.close()
        """)


def test_operations_on_an_unconnected_socket_raise_linuxs_errors(guest: Guest) -> None:
    guest("""
        import errno, socket
        s = socket.socket()
        for use, number in (
            (lambda: s.recv(1), errno.ENOTCONN),
            (lambda: s.send(b"x"), errno.EPIPE),
            (lambda: s.getpeername(), errno.ENOTCONN),
            (lambda: s.shutdown(2), errno.ENOTCONN),
            (lambda: s.accept(), errno.EINVAL),
        ):
            try:
                use()
            except OSError as error:
                assert error.errno == number, error
            else:
                raise AssertionError(number)
        assert s.getsockname() == ("0.0.0.0", 0)
        s.close()
        for use in (lambda: s.recv(1), lambda: s.getsockname(), lambda: s.setsockopt(1, 2, 1)):
            try:
                use()
            except OSError as error:
                assert error.errno == errno.EBADF, error
            else:
                raise AssertionError("a closed socket worked")
    """)


def test_descriptors_are_never_reused_and_share_their_connection(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import gc, socket, warnings
            from wit_world.imports import tcp
            s = socket.create_connection(("server.test", {port}), timeout=5)
            seen = {{s.fileno()}}
            other = s.dup()
            assert other.fileno() not in seen and other.gettimeout() == 5
            s.close()
            other.sendall(b"x")
            assert other.recv(1) == b"x" and len(tcp.live) == 1
            fd = other.detach()
            assert len(tcp.live) == 1
            third = socket.socket(fileno=fd)
            assert third.family == socket.AF_INET and third.type == socket.SOCK_STREAM
            assert third.getpeername() == ("127.0.0.1", {port})
            socket.close(fd)
            assert not tcp.live
            try:
                third.recv(1)
            except OSError as error:
                import errno
                assert error.errno == errno.EBADF
            third.detach()
            numbers = []
            for _ in range(5):
                with socket.socket() as each:
                    numbers.append(each.fileno())
            assert len(set(numbers)) == 5

            class Cycle:
                pass
            c = Cycle()
            c.me = c
            c.sock = socket.create_connection(("server.test", {port}))
            assert len(tcp.live) == 1
            del c
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                gc.collect()
            assert not tcp.live
            assert any(w.category is ResourceWarning for w in caught)
        """)


def test_socket_methods_do_not_call_methods_of_a_subclass(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import socket
            class Loud(socket.socket):
                def connect(self, address):
                    raise AssertionError("connect")
                def send(self, data, flags=0):
                    raise AssertionError("send")
                def recv(self, size, flags=0):
                    raise AssertionError("recv")
            with Loud() as s:
                assert s.connect_ex(("server.test", {port})) == 0
                s.sendto(b"a", ("ignored", 1))
                s.sendmsg([b"b"])
                s.sendall(b"c")
                into = bytearray(3)
                assert s.recv_into(into) >= 1 and into[:1] == b"a"
        """)


def test_operations_on_a_closed_descriptor_raise_ebadf(guest: Guest) -> None:
    guest("""
        import errno, os, socket
        s = socket.socket()
        fd = s.fileno()
        socket.close(fd)
        for step in (s.close, lambda: socket.close(fd), lambda: socket.socket(fileno=fd)):
            try:
                step()
            except OSError as error:
                assert error.errno == errno.EBADF
            else:
                raise AssertionError
        for step in (lambda: s.settimeout(1), lambda: s.setblocking(True)):
            try:
                step()
            except OSError as error:
                assert error.errno == errno.EBADF
            else:
                raise AssertionError
        try:
            socket.socket(fileno=2)
        except OSError as error:
            assert error.errno == errno.ENOTSOCK
    """)


def test_unsupported_kinds_of_socket_raise_linuxs_errors(guest: Guest) -> None:
    guest("""
        import errno, socket
        for family, kind, proto, number in (
            (socket.AF_INET, socket.SOCK_DGRAM, 0, errno.EPROTONOSUPPORT),
            (socket.AF_INET6, socket.SOCK_DGRAM, 17, errno.EPROTONOSUPPORT),
            (socket.AF_INET, socket.SOCK_RAW, 1, errno.EPERM),
            (socket.AF_INET, socket.SOCK_STREAM, 17, errno.EPROTONOSUPPORT),
            (socket.AF_UNIX, socket.SOCK_STREAM, 0, errno.EAFNOSUPPORT),
            (socket.AF_PACKET, socket.SOCK_RAW, 0, errno.EAFNOSUPPORT),
        ):
            try:
                socket.socket(family, kind, proto)
            except OSError as error:
                assert error.errno == number, error
            else:
                raise AssertionError((family, kind))
        with socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as s:
            assert s.type == socket.SOCK_STREAM and s.gettimeout() == 0.0
    """)


def test_socket_options_reach_the_host_or_raise_enoprotoopt(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import errno, socket, struct
            from wit_world.imports import tcp
            s = socket.socket()
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            s.connect(("server.test", {port}))
            [live] = tcp.live
            assert live.options == {{"no_delay": True}}
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, struct.pack("i", 1))
            assert live.options == {{"no_delay": True, "keep_alive": True}}
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            for option, default, maximum in (
                (socket.TCP_KEEPIDLE, 7200, 32767),
                (socket.TCP_KEEPINTVL, 75, 32767),
                (socket.TCP_KEEPCNT, 9, 127),
            ):
                assert s.getsockopt(socket.IPPROTO_TCP, option) == default
                for wrong in (0, -1, maximum + 1):
                    try:
                        s.setsockopt(socket.IPPROTO_TCP, option, wrong)
                    except OSError as error:
                        assert error.errno == errno.EINVAL
                    else:
                        raise AssertionError(wrong)
                s.setsockopt(socket.IPPROTO_TCP, option, maximum)
                assert s.getsockopt(socket.IPPROTO_TCP, option) == maximum
            assert (live.options["IDLE"], live.options["INTERVAL"]) == (32767, 32767)
            assert live.options["COUNT"] == 127
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 4) == struct.pack("i", 1)
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100000
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500)
            assert live.options["user_timeout"] == 1500
            for level, option in (
                (socket.IPPROTO_TCP, socket.TCP_MD5SIG),
                (socket.SOL_SOCKET, socket.SO_MARK),
                (socket.IPPROTO_IP, socket.IP_TRANSPARENT),
                (socket.SOL_SOCKET, socket.SO_TYPE),
            ):
                try:
                    s.setsockopt(level, option, 1)
                except OSError as error:
                    assert error.errno == errno.ENOPROTOOPT
                else:
                    raise AssertionError(option)
            for linger, resets in (((1, 0), True), ((1, 5), False), ((0, 0), False)):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *linger))
                assert struct.unpack("ii", s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == linger
                assert live.options["reset_on_close"] is resets
            s.close()
        """)


def test_a_connect_beyond_the_connection_limit_raises_emfile(guest: Guest) -> None:
    with serve(silent) as port:
        guest(f"""
            import errno, socket
            held = [socket.create_connection(("127.0.0.1", {port})) for _ in range(64)]
            try:
                socket.create_connection(("127.0.0.1", {port}))
            except OSError as error:
                assert error.errno == errno.EMFILE and "max_connections" in str(error)
            else:
                raise AssertionError("65 connections")
            held.pop().close()
            socket.create_connection(("127.0.0.1", {port})).close()
            for s in held:
                s.close()
        """)


def test_a_source_address_that_the_host_cannot_use_raises_eaddrnotavail(guest: Guest) -> None:
    with serve(echo) as port:
        guest(f"""
            import errno, socket
            s = socket.create_connection(("server.test", {port}), source_address=("", 0))
            s.close()
            # The address that the machine chooses for a loopback destination.
            s = socket.create_connection(("server.test", {port}), source_address=("127.0.0.1", 0))
            assert s.getsockname()[0] == "127.0.0.1"
            s.close()
            for source in (("", 54321), ("127.0.0.1", 54321)):
                try:
                    socket.create_connection(("server.test", {port}), source_address=source)
                except OSError as error:
                    assert error.errno == errno.EADDRNOTAVAIL, error
                else:
                    raise AssertionError(source)
            with socket.socket() as s:
                try:
                    s.bind(("192.0.2.7", 0))
                except OSError as error:
                    assert error.errno == errno.EADDRNOTAVAIL
                else:
                    raise AssertionError("bound")
        """)


def test_ipv6_socket_addresses_have_four_elements(guest: Guest) -> None:
    guest("""
        import errno, socket
        s = socket.socket(socket.AF_INET6)
        assert s.getsockname() == ("::", 0, 0, 0)
        for address in (("::2", 80), ("::2", 80, 0), ("::2", 80, 0, 0)):
            try:
                s.connect(address)
            except PermissionError:
                pass
        for address, kind in (
            (("::1", 80, 0, 0, 0), TypeError), ("::1", TypeError), (("::1", 70000), OverflowError),
            (("::1", "80"), TypeError), ((None, 80), TypeError), (("::1", 80, -1), OverflowError),
        ):
            try:
                s.connect(address)
            except kind:
                pass
            else:
                raise AssertionError(address)
        s.close()
    """)


def test_http_client_reuses_its_connection(guest: Guest) -> None:
    def http(peer):
        with peer.makefile("rb") as lines:
            while request := lines.readline():
                while lines.readline() != b"\r\n":
                    pass
                peer.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + request.split()[1][:5]
                )

    with serve(http) as port:
        guest(f"""
            import http.client
            from wit_world.imports import tcp
            c = http.client.HTTPConnection("server.test", {port}, timeout=5)
            for n in range(20):
                c.request("GET", f"/{{n:04}}")
                r = c.getresponse()
                assert r.status == 200 and r.read() == b"/%04d" % n
            assert tcp.calls["connect"] == 1
            assert tcp.calls["read"] <= 3 * 20, tcp.calls
            c.close()
            import urllib.request
            with urllib.request.urlopen("http://server.test:{port}/abcd", timeout=5) as r:
                assert r.read() == b"/abcd"
        """)


def test_the_inheritable_flag_belongs_to_one_descriptor(guest: Guest) -> None:
    guest("""
        import os, socket
        a, b = socket.socketpair()
        assert not a.get_inheritable()
        a.set_inheritable(True)
        assert a.get_inheritable() and not b.get_inheritable()
        c = a.dup()
        assert not c.get_inheritable()
        a.set_inheritable(False)
        assert not a.get_inheritable()
        a.close()
        try:
            os.get_inheritable(3000000)
        except OSError:
            pass
        else:
            raise AssertionError("no such descriptor")
    """)


def test_sendmsg_and_recvmsg_check_their_arguments_before_sending(guest: Guest) -> None:
    guest("""
        import socket
        a, b = socket.socketpair()
        for kind, call in (
            (TypeError, lambda: a.sendmsg([b"x", object()])),
            (TypeError, lambda: a.sendmsg([b"x"], [], object())),
            (TypeError, lambda: a.sendmsg([b"x"], [(0, 0)])),
            (TypeError, lambda: a.sendmsg([b"x"], [(0, 0, object())])),
            (OSError, lambda: a.sendmsg([b"x"], [(0, 0, b"")])),
            (ValueError, lambda: b.recvmsg(1, -1)),
            (TypeError, lambda: b.recvmsg(1, 0, object())),
            (ValueError, lambda: b.recvmsg_into([bytearray(1)], -1)),
        ):
            try:
                call()
            except kind:
                pass
            else:
                raise AssertionError(kind)
        assert a.sendmsg([b"do", b"ne"]) == 4
        assert b.recvmsg(10) == (b"done", [], 0, None)
    """)


def test_resource_errors_of_the_host_have_distinct_error_numbers(guest: Guest) -> None:
    guest("""
        import errno
        from eryx_net.host import exception_for
        from wit_world.imports import types
        for error, number in (
            (types.Error_LimitReached("no descriptor left"), errno.EMFILE),
            (types.Error_AddressNotAvailable(), errno.EADDRNOTAVAIL),
            (types.Error_NoBufferSpace(), errno.ENOBUFS),
            (types.Error_NetworkUnreachable(), errno.ENETUNREACH),
            (types.Error_Other("anything else"), errno.EIO),
        ):
            assert exception_for(error).errno == number, error
    """)
