"""`NetConfig`: the effect of every setting, serialisation, and error messages."""

from __future__ import annotations

import copy
import pickle
import socket
import ssl
import subprocess
import threading
import time
import warnings

import pytest

import eryx

CONNECT = """
import socket
try:
    with socket.create_connection(({host!r}, {port})) as s:
        s.sendall(b"GET /page HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        print(s.makefile("rb").read().decode().splitlines()[-1])
except OSError as error:
    print(type(error).__name__, error)
"""

LOOPBACK = eryx.NetConfig().allow_localhost()


def connect(config: eryx.NetConfig | None, host: str, port: int) -> str:
    """Return the output of a program that requests a page from `host`."""
    sandbox = eryx.Sandbox(network=config)
    return sandbox.execute(CONNECT.format(host=host, port=port)).stdout.rstrip("\n")


def test_sandbox_without_a_netconfig_has_no_network(port):
    assert connect(None, "127.0.0.1", port).startswith("PermissionError")


def test_default_config_denies_loopback_and_names_the_remedy(port):
    output = connect(eryx.NetConfig(), "127.0.0.1", port)
    assert output.startswith("PermissionError")
    assert "allow_localhost() lifts that" in output


def test_defaults_match_the_documentation():
    config = eryx.NetConfig()
    assert config.max_connections == 10
    assert config.connect_timeout_ms == 30_000
    assert config.io_timeout_ms == 60_000
    assert config.allowed_hosts == []
    assert config.blocked_hosts[:2] == ["localhost", "127.*"]
    assert eryx.NetConfig.permissive().max_connections == 100
    assert eryx.NetConfig.permissive().blocked_hosts == []


@pytest.mark.parametrize(
    "config",
    [
        LOOPBACK,
        eryx.NetConfig(allow_localhost=True),
        eryx.NetConfig.permissive(),
        eryx.NetConfig(blocked_hosts=[]),
        eryx.NetConfig().allow_network("127.0.0.0/8"),
        eryx.NetConfig(allowed_networks=["127.0.0.1"]),
        eryx.NetConfig(allowed_hosts=["127.0.0.1"]).allow_localhost(),
        eryx.NetConfig(allow_localhost=True, blocked_hosts=["127.*", "10.*"]),
        eryx.NetConfig(report_only=True),
    ],
    ids=repr,
)
def test_each_config_that_allows_loopback_connects(config, port):
    assert connect(config, "127.0.0.1", port) == "you asked for /page"


@pytest.mark.parametrize(
    "config",
    [
        LOOPBACK.block_host("127.0.0.1"),
        LOOPBACK.allow_host("127.0.0.2"),
        LOOPBACK.allow_host("127.0.0.1:1"),
        eryx.NetConfig(allowed_hosts=["127.0.0.1"]),
        eryx.NetConfig(allow_localhost=True, also_blocked_hosts=["127.0.0.1"]),
        eryx.NetConfig(blocked_hosts=["*"]),
        eryx.NetConfig(allow_localhost=True).replace(blocked_hosts=["127.*"]),
    ],
    ids=repr,
)
def test_each_config_that_blocks_loopback_denies(config, port):
    assert connect(config, "127.0.0.1", port).startswith("PermissionError")


def test_static_host_is_connected_only_if_its_address_is_allowed(port):
    named = eryx.NetConfig(hosts={"db.corp": ["127.0.0.1"]})
    assert connect(named, "db.corp", port).startswith("PermissionError")
    assert connect(named.allow_internal_host("db.corp"), "db.corp", port) == "you asked for /page"
    assert (
        connect(named.replace(internal_hosts=["*.corp"]), "db.corp", port) == "you asked for /page"
    )
    assert connect(LOOPBACK.with_hosts({"db.corp": ["127.0.0.1"]}), "db.corp", port) == (
        "you asked for /page"
    )


def test_datagrams_reach_only_allowed_destinations():
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    peer.settimeout(20)
    port = peer.getsockname()[1]
    program = f"""
import socket
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", ("127.0.0.1", {port}))
        print("sent")
except OSError as error:
    print(type(error).__name__, error.strerror)
"""
    for config in (
        LOOPBACK.allow_udp(f"127.0.0.1:{port}"),
        eryx.NetConfig(allow_localhost=True, allowed_udp=[f"127.*:{port}"]),
        LOOPBACK.replace(allowed_udp=["*:1-65535"]),
    ):
        result = eryx.Sandbox(network=config).execute(program)
        assert result.stdout == "sent\n"
        assert peer.recv(100) == b"hello"
        (report,) = result.network.connections
        assert (report.activity, report.host, report.port, report.sent_bytes) == (
            "datagrams",
            "127.0.0.1",
            port,
            5,
        )
    for config, expected in (
        (LOOPBACK, "OSError datagram sockets are not available"),
        (None, "OSError networking is off"),
        (LOOPBACK.allow_udp("127.0.0.1:1"), "PermissionError UDP to `127.0.0.1:"),
        (eryx.NetConfig(allowed_udp=[f"127.0.0.1:{port}"]), "PermissionError UDP to `127.0.0.1:"),
        (LOOPBACK.allow_host("a.example").allow_udp("*:1-65535"), "PermissionError UDP to `127"),
    ):
        assert eryx.Sandbox(network=config).execute(program).stdout.startswith(expected)
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)
    peer.close()


def test_configured_name_server_is_queried():
    queried = threading.Event()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(20)

    def answer() -> None:
        # Answers every query with NXDOMAIN (RFC 1035, section 4.1.1).
        while True:
            try:
                query, peer = server.recvfrom(512)
            except OSError:
                return
            queried.set()
            server.sendto(query[:2] + b"\x81\x83" + query[4:], peer)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    address = f"127.0.0.1:{server.getsockname()[1]}"
    for config in (eryx.NetConfig(dns_server=address), eryx.NetConfig().with_dns_server(address)):
        queried.clear()
        assert config.dns_server == address
        assert connect(config, "nowhere.example", 80).startswith("gaierror")
        assert queried.is_set()
    server.close()


@pytest.fixture(scope="module")
def silent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_io_timeout_ends_a_read_from_a_silent_peer(silent):
    start = time.monotonic()
    output = connect(LOOPBACK.replace(io_timeout_ms=200), "127.0.0.1", silent)
    assert output.startswith("TimeoutError")
    assert time.monotonic() - start < 5


def test_connect_timeout_ends_a_handshake_with_a_silent_peer(silent):
    start = time.monotonic()
    program = f"""
import socket, ssl
context = ssl.create_default_context()
try:
    context.wrap_socket(socket.create_connection(("127.0.0.1", {silent})), server_hostname="localhost")
except OSError as error:
    print(type(error).__name__)
"""
    config = LOOPBACK.replace(connect_timeout_ms=200)
    assert eryx.Sandbox(network=config).execute(program).stdout == "TimeoutError\n"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("limit", "opened"),
    [
        ({"max_connections": 3}, 3),
        ({"max_connections": 0}, 0),
        ({"max_connections_per_host": 2}, 2),
        ({"max_connections": 5}, 5),
    ],
)
def test_connections_beyond_a_limit_fail_and_name_it(limit, opened, silent):
    program = f"""
import socket
held = []
try:
    for _ in range(6):
        held.append(socket.create_connection(("127.0.0.1", {silent})))
except OSError as error:
    print(len(held), error)
"""
    output = eryx.Sandbox(network=LOOPBACK.replace(**limit)).execute(program).stdout
    assert output.startswith(f"{opened} ")
    assert next(iter(limit)) in output


@pytest.mark.parametrize(
    "limit",
    [{"max_sent_bytes": 5}, {"max_received_bytes": 5}],
)
def test_byte_quota_ends_the_transfer_and_is_named(limit, port):
    output = connect(LOOPBACK.replace(**limit), "127.0.0.1", port)
    assert "Error" in output
    assert next(iter(limit)) in output


@pytest.mark.parametrize(
    ("rate", "least"),
    [
        ({"sent_bytes_per_second": 30}, 0.3),
        ({"received_bytes_per_second": 60}, 0.3),
        ({"connects_per_second": 1}, 0.5),
    ],
)
def test_rate_limit_makes_the_program_wait(rate, least, port):
    sandbox = eryx.Sandbox(network=LOOPBACK.replace(**rate))
    program = CONNECT.format(host="127.0.0.1", port=port)
    result = sandbox.execute(program * 2 if "connects_per_second" in rate else program)
    assert result.stdout.startswith("you asked for /page\n")
    assert result.duration_ms > least * 1000


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A self-signed certificate for localhost, and a server that presents it."""
    folder = tmp_path_factory.mktemp("authority")
    openssl = subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem "
            "-out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
            "-addext basicConstraints=critical,CA:TRUE"
        ).split(),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert openssl.returncode == 0, openssl.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(peer, server_side=True) as secure:
                    secure.sendall(b"hello")
                    secure.recv(1)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    yield folder, listener.getsockname()[1]
    listener.close()


def test_policy_file_with_empty_allowed_hosts_warns(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text("allowed_hosts = []")
    with pytest.warns(UserWarning, match="every host that is not blocked may be reached"):
        assert eryx.NetConfig.from_file(path) == eryx.NetConfig()
    for silent in ("", 'allowed_hosts = ["example.com"]'):
        path.write_text(silent)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            eryx.NetConfig.from_file(path)


def greeting(
    config: eryx.NetConfig, port: int, context: str = "ssl.create_default_context()"
) -> str:
    program = f"""
import socket, ssl
context = {context}
try:
    s = context.wrap_socket(socket.create_connection(("localhost", {port})), server_hostname="localhost")
    print(s.recv(5).decode())
except OSError as error:
    print(type(error).__name__, error)
"""
    return eryx.Sandbox(network=config).execute(program).stdout.rstrip("\n")


def test_root_certificate_is_trusted_in_every_accepted_form(authority):
    folder, port = authority
    pem = (folder / "cert.pem").read_bytes()
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    config = eryx.NetConfig(allow_localhost=True, hosts={"localhost": ["127.0.0.1"]})
    assert greeting(config, port).startswith("SSLCertVerificationError")
    trusting = config.with_root_cert(pem)
    assert greeting(trusting, port) == "hello"
    for same in (
        config.with_root_cert(pem.decode()),
        config.with_root_cert(der),
        config.with_root_cert(bytearray(pem)),
        config.replace(root_certs=[pem]),
        config.replace(root_certs=[der]),
    ):
        assert same == trusting
        assert same.root_certs == [pem.decode()]
    assert config.root_certs == []


def test_verification_can_be_disabled_only_with_allow_unverified_tls(authority):
    _, port = authority
    config = eryx.NetConfig(allow_localhost=True, hosts={"localhost": ["127.0.0.1"]})
    unverified = "ssl._create_unverified_context()"
    assert "allow_unverified_tls" in greeting(config, port, unverified)
    for lenient in (config.allow_unverified_tls(), config.replace(allow_unverified_tls=True)):
        assert lenient.allows_unverified_tls
        assert greeting(lenient, port, unverified) == "hello"
        assert greeting(lenient.allow_unverified_tls(False), port, unverified) != "hello"


EVERY = {
    "max_connections": 3,
    "connect_timeout_ms": 1,
    "io_timeout_ms": 2,
    "allowed_hosts": ["api.example.com", "*.example.org:443"],
    "blocked_hosts": ["*.corp", "10.*", "192.0.2.0/24:80-90"],
    "allow_localhost": True,
    "also_blocked_hosts": ["127.0.0.9"],
    "allowed_networks": ["10.1.0.0/16"],
    "internal_hosts": ["db.corp:5432"],
    "allowed_udp": ["ns.corp:53"],
    "allow_unverified_tls": True,
    "hosts": {"db.corp": ["10.1.2.3", "fd00::1"]},
    "dns_server": "192.0.2.53:53",
    "max_connections_per_host": 2,
    "connects_per_second": 4,
    "max_sent_bytes": 5,
    "max_received_bytes": 6,
    "sent_bytes_per_second": 7,
    "received_bytes_per_second": 8,
    "report_only": True,
    "shared_caches": True,
}


@pytest.mark.parametrize(
    "config",
    [
        eryx.NetConfig(),
        eryx.NetConfig.permissive(),
        LOOPBACK,
        LOOPBACK.block_host("localhost"),
        *(eryx.NetConfig(**{name: value}) for name, value in EVERY.items()),
    ],
    ids=repr,
)
def test_config_survives_every_serialisation(config):
    for again in (
        eval(repr(config)),
        pickle.loads(pickle.dumps(config)),
        eryx.NetConfig.from_dict(config.to_dict()),
        copy.copy(config),
        copy.deepcopy(config),
        config.replace(),
    ):
        assert again == config
        assert hash(again) == hash(config)
        assert again.to_dict() == config.to_dict()


def test_every_setting_changes_equality():
    for name, value in EVERY.items():
        config = eryx.NetConfig(**{name: value})
        if name != "also_blocked_hosts":
            assert config.to_dict()[name] == value, name
        assert config != eryx.NetConfig(), name
        assert config == eryx.NetConfig().replace(**{name: value}), name
        assert name in repr(config) or name == "also_blocked_hosts"


def test_properties_return_the_settings():
    config = eryx.NetConfig(**{**EVERY, "allow_localhost": False})
    for name in EVERY:
        if name in ("allow_localhost", "also_blocked_hosts", "blocked_hosts"):
            continue
        property_name = "allows_unverified_tls" if name == "allow_unverified_tls" else name
        assert getattr(config, property_name) == EVERY[name], name
    assert config.blocked_hosts == [*EVERY["blocked_hosts"], "127.0.0.9"]


def test_config_is_immutable():
    config = eryx.NetConfig()
    before = config.to_dict()
    config.allow_host("x.example")
    config.block_host("y.example")
    config.allow_localhost()
    config.replace(max_connections=1)
    config.blocked_hosts.clear()
    assert config.to_dict() == before
    with pytest.raises(AttributeError):
        config.max_connections = 3
    assert {config: 1}[eryx.NetConfig()] == 1
    assert config != 3


def test_policy_file_reads_certificates_relative_to_itself(tmp_path, authority):
    folder, _ = authority
    (tmp_path / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    path = tmp_path / "policy.toml"
    path.write_text('max_connections = 3\nroot_cert_files = ["ca.pem"]\n')
    config = eryx.NetConfig.from_file(path)
    assert config == eryx.NetConfig.from_file(str(path))
    assert config == eryx.NetConfig(
        max_connections=3, root_certs=[(tmp_path / "ca.pem").read_bytes()]
    )


def test_verdict_has_all_fields_and_no_truth_value():
    verdict = eryx.NetConfig().check("10.1.2.3", 80)
    assert (verdict.decision, verdict.is_denied, verdict.is_allowed) == ("deny", True, False)
    assert (verdict.reason, verdict.rule, verdict.rule_list) == (
        "address-blocked",
        "10.0.0.0/8",
        "blocked_hosts",
    )
    assert (verdict.host, verdict.port, verdict.addresses) == ("10.1.2.3", 80, ["10.1.2.3"])
    assert "allow_network" in str(verdict)
    assert pickle.loads(pickle.dumps(verdict)) == verdict
    name = eryx.NetConfig().check("Example.COM.")
    assert (name.decision, name.host, name.port) == ("needs-addresses", "example.com", None)
    assert eryx.NetConfig().check_resolved("example.com", ["93.184.215.14"], 443).is_allowed
    assert eryx.NetConfig().check("not a host", 1).reason == "malformed-host"
    with pytest.raises(TypeError, match="is_denied"):
        bool(verdict)


def test_report_lists_connected_and_denied_hosts(port):
    config = LOOPBACK
    program = CONNECT.format(host="127.0.0.1", port=port) + CONNECT.format(host="10.0.0.1", port=1)
    report = eryx.Sandbox(network=config).execute(program).network
    reached, refused = report.connections
    assert (reached.activity, reached.host, reached.port) == ("connection", "127.0.0.1", port)
    assert (reached.address, reached.addresses) == (f"127.0.0.1:{port}", ["127.0.0.1"])
    assert reached.sent_bytes == report.sent_bytes > 40
    assert reached.received_bytes == report.received_bytes > 40
    assert (reached.tls, report.dropped) == (None, 0)
    assert reached.duration_ms > 0
    assert reached.close_reason == "ended by the peer"
    assert refused.close_reason == "denied"
    assert refused.verdict is not None
    assert refused.verdict.rule == "10.0.0.0/8"
    assert repr(refused) == "<eryx.ConnectionReport: connection 10.0.0.1:1, denied>"


def test_repeated_denials_are_counted_and_hide_nothing(port):
    program = f"""
import socket
for number in range(1100):
    try: socket.create_connection(("10.0.0.1", number))
    except OSError: pass
socket.create_connection(("127.0.0.1", {port})).send(b"stolen")
"""
    report = eryx.Sandbox(network=LOOPBACK).execute(program).network
    assert [
        connection.sent_bytes
        for connection in report.connections
        if connection.port == port and connection.address
    ] == [6]
    [refusals] = report.refusals
    assert (refusals.reason, refusals.rule, refusals.rule_list, refusals.count) == (
        "address-blocked",
        "10.0.0.0/8",
        "blocked_hosts",
        1100,
    )
    assert (refusals.first_activity, refusals.first_host, refusals.first_port) == (
        "connection",
        "10.0.0.1",
        0,
    )
    assert (refusals.last_activity, refusals.last_host, refusals.last_port) == (
        "connection",
        "10.0.0.1",
        1099,
    )
    assert time.time() - 60 < refusals.first_time <= refusals.last_time <= time.time()
    assert repr(refusals) == "<eryx.Refusals: 1100 address-blocked by 10.0.0.0/8 in blocked_hosts>"
    assert pickle.loads(pickle.dumps(report)) == report


def test_report_repr_shows_a_host_on_one_line():
    program = """
from wit_world.imports import tcp
try: tcp.Connection.connect("x\\n\\x1b[31m", 1)
except Exception: pass
"""
    [refused] = eryx.Sandbox(network=LOOPBACK).execute(program).network.connections
    assert refused.host == "x\n\x1b[31m"
    assert repr(refused) == r'<eryx.ConnectionReport: connection "x\n\u{1b}[31m":1, denied>'


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: eryx.NetConfig(allow_hosts=[]), TypeError, "did you mean allowed_hosts"),
        (lambda: eryx.NetConfig(timeout=1), TypeError, "NetConfig.. has no argument timeout"),
        (lambda: eryx.NetConfig(3), TypeError, "positional"),
        (lambda: eryx.NetConfig(max_connections="3"), TypeError, "max_connections has to be a whole number of connections, not of type str"),
        (lambda: eryx.NetConfig(max_connections=-1), eryx.ConfigError, "max_connections=-1"),
        (lambda: eryx.NetConfig(connect_timeout_ms=0), eryx.ConfigError, "connect_timeout_ms: "),
        (lambda: eryx.NetConfig(io_timeout_ms=1 << 40), eryx.ConfigError, "at most 24 hours"),
        (lambda: eryx.NetConfig(connects_per_second=0), ValueError, "at least 1"),
        (lambda: eryx.NetConfig(allowed_hosts="x.example"), TypeError, r"write allowed_hosts=\['x.example'\]"),
        (lambda: eryx.NetConfig(allowed_hosts=3), TypeError, "a list of str"),
        (lambda: eryx.NetConfig(allowed_hosts=[3]), TypeError, "each entry"),
        (lambda: eryx.NetConfig(blocked_hosts=None), TypeError, "not None"),
        (lambda: eryx.NetConfig(allowed_hosts=["api.*.com"]), eryx.ConfigError, "allowed_hosts: `api.*.com` is not a host pattern"),
        (lambda: eryx.NetConfig().block_host("a b"), eryx.ConfigError, "a b"),
        (lambda: eryx.NetConfig().allow_host(3), TypeError, "pattern has to be a str"),
        (lambda: eryx.NetConfig().allow_network("10.0.0.1/8"), eryx.ConfigError, "10.0.0.0/8"),
        (lambda: eryx.NetConfig().with_root_cert(b"junk"), eryx.ConfigError, "BEGIN CERTIFICATE"),
        (lambda: eryx.NetConfig().with_root_cert("ca.pem"), eryx.ConfigError, "read_bytes"),
        (lambda: eryx.NetConfig().with_root_cert(3), TypeError, "PEM or DER as bytes"),
        (lambda: eryx.NetConfig(root_certs=b"x"), TypeError, "a list of certificates"),
        (lambda: eryx.NetConfig().with_dns_server("dns.example"), eryx.ConfigError, "dns.example"),
        (lambda: eryx.NetConfig().with_hosts({"x": ["300.0.0.1"]}), eryx.ConfigError, "not an IP address"),
        (lambda: eryx.NetConfig().with_hosts(["x"]), TypeError, "a dict"),
        (lambda: eryx.NetConfig().with_hosts({"x": "1.2.3.4"}), TypeError, "not one str"),
        (lambda: eryx.NetConfig(report_only=1), TypeError, "True or False"),
        (lambda: eryx.NetConfig(shared_caches=1), TypeError, "True or False"),
        (lambda: eryx.NetConfig().check("x", 70000), eryx.ConfigError, "0 to 65535"),
        (lambda: eryx.NetConfig().check("x", "http"), TypeError, "port has to be"),
        (lambda: eryx.NetConfig().check_resolved("1.2.3.4", []), eryx.ConfigError, "1.2.3.4"),
        (lambda: eryx.NetConfig.from_dict({"allow_hosts": []}), TypeError, "did you mean"),
        (lambda: eryx.NetConfig.from_dict([]), TypeError, "a dict"),
        (lambda: eryx.NetConfig.from_file("/nowhere/policy.toml"), eryx.ConfigError, "/nowhere/policy.toml"),
        (lambda: eryx.NetConfig().replace(max_conections=1), TypeError, "did you mean max_connections"),
    ],
)  # fmt: skip
def test_invalid_setting_is_rejected_with_what_to_write(make, error, message):
    with pytest.raises(error, match=message):
        make()
