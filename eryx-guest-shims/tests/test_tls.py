"""TLS on sockets and over buffers, through CPython's own `ssl.py`."""

from __future__ import annotations

import socket
import ssl

import pytest

from certificates import CertificateAuthority
from conftest import Guest
from servers import echo, serve


def test_the_tls_example_of_the_networking_guide_works(
    guest: Guest, ca: CertificateAuthority
) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(
            f"""
            import socket, ssl
            from wit_world.imports import tcp, tls
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(15)
            sock.connect(("server.test", {port}))
            ctx = ssl.create_default_context()
            s = ctx.wrap_socket(sock, server_hostname="server.test")
            assert sock.fileno() == -1
            [config] = tls.configs
            assert config.server_name == "server.test" and config.verify_peer
            assert config.check_hostname
            s.send(b"hello")
            assert s.recv(1024) == b"hello"
            s.sendall(bytes(100_000))
            got = b""
            while len(got) < 100_000:
                got += s.recv(65536)
            assert s.version() in ("TLSv1.2", "TLSv1.3")
            name, version, bits = s.cipher()
            assert version == s.version() and bits in (128, 256), s.cipher()
            assert s.selected_alpn_protocol() is None and s.compression() is None
            assert s.getpeername() == ("127.0.0.1", {port})
            assert s.server_hostname == "server.test" and s.context is ctx
            assert s.session is not None and not s.session_reused
            assert dict(x for rdn in s.getpeercert()["subject"] for x in rdn)["commonName"] == "server"
            assert ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).startswith("-----BEGIN")
            if hasattr(s, "get_verified_chain"):
                assert s.get_verified_chain()[0] == s.getpeercert(True)
            s.close()
            assert not tcp.live
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_getpeercert_matches_cpython(guest: Guest, ca: CertificateAuthority) -> None:
    server = ca.server("server")
    with serve(echo, server) as port:
        context = ssl.create_default_context(cafile=str(ca.root))
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="server.test") as native,
        ):
            expected = native.getpeercert()
        shown = guest(
            f"""
            import socket, ssl
            ctx = ssl.create_default_context()
            with socket.create_connection(("server.test", {port})) as s:
                with ctx.wrap_socket(s, server_hostname="server.test") as t:
                    print(repr(t.getpeercert()))
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )
    assert eval(shown) == expected


def test_a_certificate_for_another_name_raises_openssls_error(
    guest: Guest, ca: CertificateAuthority
) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(
            f"""
            import socket, ssl
            from wit_world.imports import tcp
            ctx = ssl.create_default_context()
            for name, code, words in (
                ("other.test", 62, "Hostname mismatch, certificate is not valid for 'other.test'."),
                ("192.0.2.1", 64, "IP address mismatch, certificate is not valid for '192.0.2.1'."),
            ):
                sock = socket.create_connection(("server.test", {port}), timeout=5)
                try:
                    ctx.wrap_socket(sock, server_hostname=name)
                except ssl.SSLCertVerificationError as error:
                    assert (error.verify_code, error.verify_message) == (code, words), error
                    assert error.reason == "CERTIFICATE_VERIFY_FAILED" and error.library == "SSL"
                    assert str(error).startswith(
                        f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {{words}} (_ssl.c:")
                    assert isinstance(error, ValueError) and isinstance(error, ssl.CertificateError)
                    assert error.errno == 1
                else:
                    raise AssertionError(name)
            assert not tcp.live
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_an_unknown_ca_is_rejected_even_if_the_program_loads_it(
    guest: Guest, ca: CertificateAuthority
) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(
            f"""
            import base64, socket, ssl
            from wit_world.imports import tls
            ctx = ssl.create_default_context(cafile={str(ca.root)!r})
            assert ctx.cert_store_stats() == {{"x509": 1, "crl": 0, "x509_ca": 1}}
            try:
                with socket.create_connection(("server.test", {port})) as s:
                    ctx.wrap_socket(s, server_hostname="server.test")
            except ssl.SSLCertVerificationError as error:
                assert error.verify_code in (18, 19, 20), error.verify_code
            else:
                raise AssertionError("trusted")
            passed = [base64.b64decode(root) for root in tls.configs[0].roots]
            assert passed == ctx.get_ca_certs(True)
            """
        )


def test_the_host_rejects_disabled_verification_unless_permitted(
    guest: Guest, ca: CertificateAuthority
) -> None:
    with serve(echo, ca.server("server")) as port:
        program = f"""
            import socket, ssl
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ctx.check_hostname = False
            ctx.verify_mode = ssl.CERT_NONE
            with socket.create_connection(("server.test", {port})) as s:
                try:
                    t = ctx.wrap_socket(s)
                except ssl.SSLError as error:
                    assert "allow_unverified_tls" in str(error), error
                    print("refused")
                else:
                    assert t.getpeercert() == {{}} and t.getpeercert(True)
                    t.close()
                    print("permitted")
        """
        assert guest(program) == "refused\n"
        assert guest(program, FAKE_HOST_UNVERIFIED="1") == "permitted\n"


def test_a_peer_without_tls_raises_wrong_version_number(guest: Guest) -> None:
    def http(peer: socket.socket) -> None:
        peer.recv(10)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serve(http) as port:
        guest(f"""
            import socket, ssl
            ctx = ssl.create_default_context()
            with socket.create_connection(("server.test", {port})) as s:
                try:
                    ctx.wrap_socket(s, server_hostname="server.test")
                except ssl.SSLError as error:
                    assert error.library == "SSL" and error.reason == "WRONG_VERSION_NUMBER", error
                    assert not isinstance(error, ssl.SSLCertVerificationError)
                else:
                    raise AssertionError
        """)


def test_an_alert_of_the_peer_has_openssls_name(guest: Guest, ca: CertificateAuthority) -> None:
    server = ca.server("server", maximum_version=ssl.TLSVersion.TLSv1_2)
    with serve(echo, server) as port:
        guest(
            f"""
            import socket, ssl
            ctx = ssl.create_default_context()
            ctx.minimum_version = ssl.TLSVersion.TLSv1_3
            with socket.create_connection(("server.test", {port})) as s:
                try:
                    ctx.wrap_socket(s, server_hostname="server.test")
                except ssl.SSLError as error:
                    assert error.reason == "TLSV1_ALERT_PROTOCOL_VERSION", error
                else:
                    raise AssertionError
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_a_server_name_that_the_policy_denies_raises_permission_error(
    guest: Guest, ca: CertificateAuthority
) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(f"""
            import socket, ssl
            ctx = ssl.create_default_context()
            with socket.create_connection(("server.test", {port})) as s:
                try:
                    ctx.wrap_socket(s, server_hostname="denied.test")
                except PermissionError:
                    pass
                else:
                    raise AssertionError
            try:
                ctx.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="denied.test")
            except PermissionError:
                pass
        """)


def test_an_end_without_close_notify_matches_cpython(
    guest: Guest, ca: CertificateAuthority
) -> None:
    def ragged(peer: socket.socket) -> None:
        peer.sendall(b"body")
        # Below TLS, so that no close_notify is sent.
        socket.socket.shutdown(peer, socket.SHUT_RDWR)

    with serve(ragged, ca.server("server")) as port:
        guest(
            f"""
            import socket, ssl
            ctx = ssl.create_default_context()
            for suppressed in (True, False):
                s = socket.create_connection(("server.test", {port}), timeout=5)
                t = ctx.wrap_socket(
                    s, server_hostname="server.test", suppress_ragged_eofs=suppressed)
                assert t.recv(10) == b"body"
                try:
                    assert t.recv(10) == b"" and suppressed
                except ssl.SSLEOFError as error:
                    assert not suppressed and error.args[0] == ssl.SSL_ERROR_EOF
                    assert "EOF occurred in violation of protocol" in str(error)
                t.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_tls_timeouts_and_non_blocking_sockets_match_cpython(
    guest: Guest, ca: CertificateAuthority
) -> None:
    def sleepy(peer: socket.socket) -> None:
        peer.recv(100)

    with serve(lambda peer: peer.recv(100000) and peer.recv(1)) as silent_port:
        guest(f"""
            import socket, ssl
            ctx = ssl.create_default_context()
            s = socket.create_connection(("server.test", {silent_port}), timeout=0.1)
            try:
                ctx.wrap_socket(s, server_hostname="server.test")
            except TimeoutError as error:
                assert str(error).endswith("The handshake operation timed out"), error
            else:
                raise AssertionError
            s = socket.create_connection(("server.test", {silent_port}))
            s.setblocking(False)
            t = ctx.wrap_socket(s, server_hostname="server.test", do_handshake_on_connect=False)
            for _ in range(2):
                try:
                    t.do_handshake()
                except ssl.SSLWantReadError as error:
                    assert error.args[0] == ssl.SSL_ERROR_WANT_READ
                else:
                    raise AssertionError
            t.close()
        """)
    with serve(sleepy, ca.server("server")) as port:
        guest(
            f"""
            import select, socket, ssl
            ctx = ssl.create_default_context()
            s = socket.create_connection(("server.test", {port}))
            s.setblocking(False)
            t = ctx.wrap_socket(s, server_hostname="server.test", do_handshake_on_connect=False)
            while True:
                try:
                    t.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    assert select.select([t], [], [], 5)[0]
            try:
                t.recv(1)
            except ssl.SSLWantReadError:
                pass
            else:
                raise AssertionError
            t.settimeout(0.05)
            try:
                t.recv(1)
            except TimeoutError as error:
                assert str(error) == "The read operation timed out", error
            else:
                raise AssertionError
            t.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_buffered_plaintext_makes_the_socket_readable(
    guest: Guest, ca: CertificateAuthority
) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(
            f"""
            import select, socket, ssl
            ctx = ssl.create_default_context()
            s = ctx.wrap_socket(socket.create_connection(("server.test", {port})),
                                server_hostname="server.test")
            s.sendall(b"abc")
            assert s.recv(1) == b"a"
            assert s.pending() == 2
            assert select.select([s], [], [], 0)[0] == [s]
            assert s.recv(10) == b"bc" and s.pending() == 0
            s.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_alpn_is_negotiated_and_unwrap_returns_to_plain_tcp(
    guest: Guest, ca: CertificateAuthority
) -> None:
    server = ca.server("server")
    server.set_alpn_protocols(["h2", "http/1.1"])

    def handler(peer: socket.socket) -> None:
        assert isinstance(peer, ssl.SSLSocket)
        peer.unwrap().sendall(b"plain")

    with serve(handler, server) as port:
        guest(
            f"""
            import socket, ssl
            from wit_world.imports import tls
            ctx = ssl.create_default_context()
            ctx.set_alpn_protocols(["http/1.1", "h2"])
            s = ctx.wrap_socket(socket.create_connection(("server.test", {port}), timeout=5),
                                server_hostname="server.test")
            assert tls.configs[0].alpn == ["http/1.1", "h2"]
            assert s.selected_alpn_protocol() == "h2"
            assert s.recv(1) == b""
            plain = s.unwrap()
            assert plain.recv(5) == b"plain"
            plain.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_urllib_and_http_client_request_over_https(guest: Guest, ca: CertificateAuthority) -> None:
    def http(peer: socket.socket) -> None:
        with peer.makefile("rb") as lines:
            while lines.readline():
                while lines.readline() != b"\r\n":
                    pass
                body = bytes(range(256)) * 2048
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with serve(http, ca.server("server")) as port:
        guest(
            f"""
            import http.client, urllib.request
            with urllib.request.urlopen("https://server.test:{port}/", timeout=5) as r:
                assert r.read() == bytes(range(256)) * 2048
            c = http.client.HTTPSConnection("server.test", {port}, timeout=5)
            for _ in range(3):
                c.request("GET", "/")
                assert len(c.getresponse().read()) == 524288
            c.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_tls_runs_over_memory_bios(guest: Guest, ca: CertificateAuthority) -> None:
    def echo_and_say_goodbye(peer: socket.socket) -> None:
        assert isinstance(peer, ssl.SSLSocket)
        echo(peer)
        peer.unwrap()

    with serve(echo_and_say_goodbye, ca.server("server")) as port:
        guest(
            f"""
            import socket, ssl
            plain = socket.create_connection(("server.test", {port}), timeout=5)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            ctx = ssl.create_default_context()
            o = ctx.wrap_bio(incoming, outgoing, server_hostname="server.test")
            assert o.version() is None and o.server_hostname == "server.test"
            try:
                o.getpeercert()
            except ValueError as error:
                assert str(error) == "handshake not done yet"

            def run(step):
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        if outgoing.pending:
                            plain.sendall(outgoing.read())
                        data = plain.recv(1000)
                        if data:
                            incoming.write(data)
                        else:
                            incoming.write_eof()
                    finally:
                        if outgoing.pending:
                            plain.sendall(outgoing.read())

            run(o.do_handshake)
            assert o.getpeercert()["serialNumber"]
            # More than the host accepts at once: anyio ignores the result of `write`.
            sent = bytes(range(256)) * 2000
            assert run(lambda: o.write(memoryview(sent))) == len(sent)
            got = bytearray()
            while len(got) < len(sent):
                got += run(lambda: o.read(100_000))
            assert got == sent
            run(lambda: o.write(b"xyz"))
            into = bytearray(2)
            assert run(lambda: o.read(2, into)) == 2 and into == b"xy"
            assert o.pending() == 1
            assert o.read(5) == b"z"
            try:
                o.read(5)
            except ssl.SSLWantReadError:
                pass
            run(o.unwrap)
            plain.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_tls_runs_over_an_in_guest_connection(guest: Guest, ca: CertificateAuthority) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(
            f"""
            import socket, ssl
            # A proxy inside the program, run between the steps of the client.
            near, proxy = socket.socketpair()
            far = socket.create_connection(("server.test", {port}))
            for s in (near, proxy, far):
                s.setblocking(False)
            import select
            def forward():
                for a, b in ((proxy, far), (far, proxy)):
                    if select.select([a], [], [], 0.05)[0]:
                        b.sendall(a.recv(60000))
            t = ssl.create_default_context().wrap_socket(
                near, server_hostname="server.test", do_handshake_on_connect=False)
            def run(step):
                while True:
                    try:
                        return step()
                    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        forward()
            run(t.do_handshake)
            assert t.version().startswith("TLSv1.") and t.getpeercert()["subject"]
            run(lambda: t.send(b"around"))
            assert run(lambda: t.recv(100)) == b"around"
            t.settimeout(0.05)
            try:
                t.recv(1)
            except TimeoutError as error:
                assert str(error) == "The read operation timed out"
            else:
                raise AssertionError
            for s in (t, proxy, far):
                s.close()
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_write_eof_on_the_incoming_bio_raises_ssl_eof_error(guest: Guest) -> None:
    guest("""
        import ssl
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        o = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="server.test")
        try:
            o.do_handshake()
        except ssl.SSLWantReadError:
            assert outgoing.pending > 100
        incoming.write_eof()
        assert incoming.eof
        try:
            o.do_handshake()
        except ssl.SSLEOFError as error:
            assert error.args[0] == ssl.SSL_ERROR_EOF
        else:
            raise AssertionError
    """)


@pytest.mark.parametrize(
    "body", ["memory_bio", "context", "errors", "host_config", "random", "loading"]
)
def test_ssl_objects_match_cpython_in_detail(
    guest: Guest, ca: CertificateAuthority, body: str
) -> None:
    """The programs pass on the interpreter's own `ssl` too, except for the sandbox's own errors."""
    guest(DETAILS[body].replace("ROOT", repr(str(ca.root))))


DETAILS = {
    "memory_bio": """
        import ssl
        b = ssl.MemoryBIO()
        assert b.read() == b"" and not b.eof and b.pending == 0
        assert b.write(b"foo") == 3 and b.write(memoryview(b"bar")) == 3 and b.pending == 6
        assert b.read(2) == b"fo" and b.read(0) == b"" and b.read(-1) == b"obar"
        b.write(b"x"); b.write_eof()
        assert not b.eof
        assert b.read(100) == b"x" and b.eof
        for data, kind in ((b"y", ssl.SSLError), ("text", TypeError), (1, TypeError)):
            try:
                b.write(data)
            except kind:
                pass
            else:
                raise AssertionError(data)
    """,
    "context": """
        import ssl
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert c.check_hostname and c.verify_mode is ssl.CERT_REQUIRED
        assert c.protocol is ssl.PROTOCOL_TLS_CLIENT and c.security_level == 2
        assert c.options & ssl.OP_NO_SSLv3 and c.options & ssl.OP_NO_COMPRESSION
        assert c.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
        try:
            c.verify_mode = ssl.CERT_NONE
        except ValueError as error:
            assert "check_hostname" in str(error)
        else:
            raise AssertionError
        c.check_hostname = False
        c.verify_mode = ssl.CERT_NONE
        c.check_hostname = True
        assert c.verify_mode is ssl.CERT_REQUIRED
        try:
            c.verify_mode = 9
        except ValueError as error:
            assert str(error) == "invalid value for verify_mode"
        assert c.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED
        c.minimum_version = ssl.TLSVersion.TLSv1_3
        assert c.minimum_version is ssl.TLSVersion.TLSv1_3
        c.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        assert c.minimum_version is ssl.TLSVersion.MINIMUM_SUPPORTED
        c.options |= ssl.OP_NO_TLSv1_3
        assert c.options & ssl.OP_NO_TLSv1_3
        c.hostname_checks_common_name = False
        assert not c.hostname_checks_common_name
        names = [each["name"] for each in c.get_ciphers()]
        assert "TLS_AES_256_GCM_SHA384" in names and "ECDHE-RSA-AES128-GCM-SHA256" in names
        c.set_ciphers("ECDHE+AESGCM:!ECDSA")
        names = [each["name"] for each in c.get_ciphers() if each["protocol"] == "TLSv1.2"]
        assert names == ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"], names
        for bad in ("nonsense", "", "!ALL"):
            try:
                c.set_ciphers(bad)
            except ssl.SSLError as error:
                assert error.args == ("No cipher can be selected.",)
            else:
                raise AssertionError(bad)
        assert c.session_stats()["number"] == 0 and c.cert_store_stats()["x509"] == 0
        for bad in ("", ".name"):
            try:
                c.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=bad)
            except ValueError:
                pass
            else:
                raise AssertionError(bad)
        assert ssl.HAS_SNI and ssl.HAS_ALPN and ssl.HAS_TLSv1_3 and not ssl.HAS_SSLv3
        assert ssl.OPENSSL_VERSION.startswith("OpenSSL ") and ssl.OPENSSL_VERSION_INFO >= (1, 1, 1)
        assert ssl.VERIFY_X509_PARTIAL_CHAIN and ssl.SSLErrorNumber.SSL_ERROR_EOF == 8
        assert ssl.Purpose.SERVER_AUTH.shortname == "serverAuth"
        assert ssl.AlertDescription.ALERT_DESCRIPTION_UNKNOWN_CA == 48
        import warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ssl.SSLContext(ssl.PROTOCOL_TLS)
        assert caught[0].category is DeprecationWarning
    """,
    "errors": """
        import socket, ssl
        c = ssl.create_default_context()
        def raises(step, kind, words):
            try:
                step()
            except kind as error:
                assert words in str(error), error
            else:
                raise AssertionError(words)
        raises(lambda: setattr(c, "keylog_filename", "/tmp/x"), ssl.SSLError, "keylog")
        a, b = socket.socketpair()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        raises(lambda: server.wrap_socket(a, server_side=True), ssl.SSLError, "server-side")
        a.close()
        b.close()
        bios = ssl.MemoryBIO(), ssl.MemoryBIO()
        raises(lambda: server.wrap_bio(*bios, server_hostname="x"), ssl.SSLError, "client socket")
        raises(lambda: c.wrap_bio(*bios, True), ssl.SSLError, "server socket")
        raises(lambda: c.wrap_bio(1, 2), TypeError, "MemoryBIO")
        c = ssl.create_default_context()
        c.maximum_version = ssl.TLSVersion.TLSv1_1
        raises(lambda: c.wrap_bio(*bios, server_hostname="x"), ssl.SSLError, "no protocols available")
        o = ssl.create_default_context().wrap_bio(*bios, server_hostname="x.test")
        raises(lambda: o.read(-1), ValueError, "negative")
        raises(lambda: o.get_channel_binding("x"), ValueError, "not implemented")
        raises(lambda: setattr(o, "session", 5), TypeError, "SSLSession")
        raises(lambda: setattr(o, "context", 5), TypeError, "SSLContext")
        raises(lambda: o.unwrap(), ssl.SSLError, "shutdown while in init")
        assert o.session is None and o.cipher() is None and o.pending() == 0
    """,
    "host_config": """
        import ssl
        from wit_world.imports import tls
        def config_of(**settings):
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            c.verify_flags |= settings.pop("flags", 0)
            for name, value in settings.items():
                getattr(c, name)(value)
            c.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x.test")
            return tls.configs[-1]
        plain = config_of()
        assert (plain.ciphers, plain.groups, plain.revocation, plain.strict) == ([], [], None, False)
        chosen = config_of(set_ciphers="CHACHA20+ECDSA:AES128+ECDSA").ciphers
        assert chosen == [0x1302, 0x1303, 0x1301, 0xCCA9, 0xC02B], chosen
        assert config_of(set_ecdh_curve="secp384r1").groups == [24]
        assert config_of(set_ecdh_curve=b"X25519").groups == [29]
        for name in ("P-256", "x25519", "foo"):
            try:
                config_of(set_ecdh_curve=name)
            except ValueError as error:
                assert str(error) == f"unknown elliptic curve name {name!r}"
            else:
                raise AssertionError(name)
        assert config_of(flags=ssl.VERIFY_CRL_CHECK_LEAF).revocation is tls.Revocation.LEAF
        assert config_of(flags=ssl.VERIFY_CRL_CHECK_CHAIN).revocation is tls.Revocation.CHAIN
        assert config_of(flags=8).revocation is None
        assert config_of(flags=ssl.VERIFY_X509_STRICT).strict
        import os, tempfile
        with tempfile.TemporaryDirectory() as folder:
            block = "-----BEGIN X509 CRL-----\\nQUJD\\n-----END X509 CRL-----\\n"
            for name in ("list.pem", "0123abcd.r0"):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(block)
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            for load in ({"cafile": os.path.join(folder, "list.pem")}, {"capath": folder}):
                c.load_verify_locations(**load)
                assert c.cert_store_stats() == {"x509": 0, "crl": 1, "x509_ca": 0}
        c.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="x.test")
        assert tls.configs[-1].revocation_lists == ["QUJD"]
    """,
    "random": """
        import ssl
        assert len(ssl.RAND_bytes(16)) == 16 and ssl.RAND_status()
        ssl.RAND_add("x", 1.0)
        try:
            ssl.RAND_bytes(-1)
        except ValueError:
            pass
        else:
            raise AssertionError
    """,
    "loading": """
        import base64, os, ssl, tempfile
        root = open(ROOT).read()
        der = ssl.PEM_cert_to_DER_cert(root)
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for load in ({"cafile": ROOT}, {"cadata": root}, {"cadata": der}, {"cadata": der + der}):
            c.load_verify_locations(**load)
            assert c.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}
        assert c.get_ca_certs(True) == [der]
        [shown] = c.get_ca_certs()
        assert shown["subject"] == shown["issuer"] and shown["version"] == 3
        d = tempfile.mkdtemp()
        def file(text):
            path = os.path.join(d, "f")
            with open(path, "w") as f:
                f.write(text)
            return path
        block = "-----BEGIN CERTIFICATE-----\\n%s\\n-----END CERTIFICATE-----\\n"
        for load, kind, words in (
            ({}, TypeError, "cannot be all omitted"),
            ({"cafile": "nope"}, FileNotFoundError, "No such file"),
            ({"cafile": file("hello")}, ssl.SSLError, "NO_CERTIFICATE_OR_CRL_FOUND"),
            ({"cadata": ""}, ValueError, "Empty certificate data"),
            ({"cadata": b""}, ValueError, "Empty certificate data"),
            ({"cadata": "garbage"}, ssl.SSLError, "no start line: cadata does not contain"),
            ({"cadata": b"garbage"}, ssl.SSLError, "not enough data: cadata does not contain"),
            ({"cadata": der[:-1]}, ssl.SSLError, "does not contain a certificate"),
            ({"cadata": "é"}, TypeError, "ASCII string"),
            ({"cadata": 5}, TypeError, "ASCII string"),
            ({"cafile": 5}, TypeError, "valid filesystem path"),
        ):
            try:
                c.load_verify_locations(**load)
            except kind as error:
                assert words in str(error), error
            else:
                raise AssertionError(load)
        for text in (block % "AAAA", block % "!!!!"):
            try:
                c.load_verify_locations(file(text))
            except ssl.SSLError as error:
                assert "PEM lib" in str(error), error
            else:
                raise AssertionError(text)
        d = os.path.dirname(ROOT)
        c.load_cert_chain(ROOT, os.path.join(d, "root.key"))
        with open(os.path.join(d, "root.key")) as f:
            key = f.read()
        c.load_cert_chain(file(root + key))
        try:
            c.load_cert_chain(ROOT, os.path.join(d, "server.key"))
        except ssl.SSLError as error:
            assert error.reason == "KEY_VALUES_MISMATCH", error
        else:
            raise AssertionError
        encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\\nAAAA\\n-----END ENCRYPTED PRIVATE KEY-----\\n"
        try:
            c.load_cert_chain(file(root + encrypted), password="x")
        except ssl.SSLError as error:
            assert "PEM lib" in str(error)
        else:
            raise AssertionError
        try:
            c.load_cert_chain(file(root))
        except ssl.SSLError as error:
            assert "PEM lib" in str(error)
        else:
            raise AssertionError
    """,
}
