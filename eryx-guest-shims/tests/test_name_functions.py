"""`getaddrinfo` and its relatives: against the C library, and over the fake host."""

from __future__ import annotations

import socket

import pytest

from conftest import Guest
from eryx_net.dns import name_functions, services

S, D, R = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW

SAME_AS_THE_C_LIBRARY = [
    ("127.0.0.1", 80),
    ("127.0.0.1", "80"),
    ("127.0.0.1", b"80"),
    ("127.0.0.1", None),
    ("127.0.0.1", "http"),
    ("127.0.0.1", "domain"),
    ("127.0.0.1", "no-such-service"),
    ("127.0.0.1", ""),
    ("127.0.0.1", 80, socket.AF_INET6),
    ("127.0.0.1", 80, socket.AF_INET6, 0, 0, socket.AI_V4MAPPED),
    ("127.0.0.1", 80, 0, S),
    ("127.0.0.1", 80, 0, D),
    ("127.0.0.1", 80, 0, R),
    ("127.0.0.1", None, 0, R),
    ("127.0.0.1", None, 0, R, 1),
    ("127.0.0.1", "http", 0, R),
    ("127.0.0.1", "http", 0, D),
    ("127.0.0.1", "domain", 0, D),
    ("127.0.0.1", 80, 0, S, socket.IPPROTO_UDP),
    ("127.0.0.1", 80, 0, 0, socket.IPPROTO_TCP),
    ("127.0.0.1", 80, 0, 0, socket.IPPROTO_UDP),
    ("127.0.0.1", 80, 0, 99),
    ("127.0.0.1", 80, socket.AF_UNIX),
    ("127.0.0.1", 80, 0, S, 0, socket.AI_CANONNAME),
    ("127.0.0.1", "http", 0, S, 0, socket.AI_NUMERICSERV),
    ("127.0.0.1", 80, 0, S, 0, 1 << 20),
    ("::1", 443, 0, S),
    ("0:0:0:0:0:0:0:1", 443, 0, S),
    ("::ffff:1.2.3.4", 443, 0, S),
    ("::1", 443, socket.AF_INET),
    ("name.test", 80, 0, S, 0, socket.AI_NUMERICHOST),
    ("", 80, 0, S),
    (None, 80, socket.AF_INET, S),
    (None, 80, socket.AF_INET, S, 0, socket.AI_PASSIVE),
    (None, 80, socket.AF_INET6, S, 0, socket.AI_PASSIVE),
    (None, None),
    (None, 80, 0, S, 0, socket.AI_CANONNAME),
    ("127.0.0.1", 65536 + 80, 0, S),
    ("127.0.0.1", -1, 0, S),
]


def outcome(function: object, *arguments: object) -> object:
    """Returns the sorted result of a call, or its exception."""
    try:
        return sorted(function(*arguments))  # type: ignore[operator]
    except OSError as error:
        return type(error).__name__, error.args


@pytest.mark.parametrize("arguments", SAME_AS_THE_C_LIBRARY, ids=repr)
def test_getaddrinfo_returns_the_same_results_as_the_c_library(arguments: tuple[object]) -> None:
    results = outcome(name_functions.getaddrinfo, *arguments)
    assert results == outcome(socket.getaddrinfo, *arguments)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("x" * 64, 80), UnicodeError),
        (("a..b", 80), UnicodeError),
        ((".b", 80), UnicodeError),
        (("a..b" + "x" * 70, 80), UnicodeError),
        ((5, 80), TypeError),
        (("127.0.0.1", 1.5), OSError),
    ],
)
def test_getaddrinfo_rejects_malformed_names_like_cpython(
    arguments: tuple[object], kind: type
) -> None:
    with pytest.raises(kind):
        name_functions.getaddrinfo(*arguments)  # type: ignore[arg-type]
    with pytest.raises(kind):
        socket.getaddrinfo(*arguments)  # type: ignore[call-overload]


def test_a_name_with_a_null_character_is_rejected() -> None:
    with pytest.raises(ValueError, match="null"):
        name_functions.getaddrinfo("127.0.0.1\0.evil.test", 80)


@pytest.mark.parametrize(
    ("address", "flags"),
    [
        (("127.0.0.1", 80), 0),
        (("127.0.0.1", 80), socket.NI_NUMERICHOST),
        (("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV),
        (("192.0.2.1", 53), socket.NI_NUMERICHOST | socket.NI_DGRAM),
        (("::1", 443, 0, 0), socket.NI_NUMERICHOST),
        (("192.0.2.1", 9), socket.NI_NUMERICHOST),
        (("nowhere.invalid", 80), 0),
        (("127.0.0.1", 80, 0), 0),
    ],
)
def test_getnameinfo_returns_the_same_results_as_the_c_library(
    address: tuple[object], flags: int
) -> None:
    def call(function: object) -> object:
        try:
            return function(address, flags)  # type: ignore[operator]
        except OSError as error:
            return type(error).__name__, error.args

    assert call(name_functions.getnameinfo) == call(socket.getnameinfo)


@pytest.mark.parametrize("name", ["x" * 1_000_000, "a." * 3_000_000, b"x" * 5_000_000, "a." * 200])
def test_a_name_over_the_length_limit_is_rejected_like_the_c_library(name: str | bytes) -> None:
    def call(function: object) -> object:
        try:
            return function(name, 80)  # type: ignore[operator]
        except Exception as error:
            return type(error).__name__, str(error)

    assert call(name_functions.getaddrinfo) == call(socket.getaddrinfo)


def test_the_host_resolves_all_names_but_the_sandboxs_own(guest: Guest) -> None:
    guest("""
        import socket
        from wit_world.imports import resolver
        assert socket.getaddrinfo("both.test", 443, type=socket.SOCK_STREAM) == [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 443, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443)),
        ]
        assert resolver.started == [("both.test", 443, "ANY")]
        assert socket.gethostbyname("both.test") == "127.0.0.1"
        assert resolver.started[-1] == ("both.test", None, "IPV4")
        assert socket.gethostbyname_ex("server.test") == ("server.test", [], ["127.0.0.1"])
        for name, number in (("missing.test", socket.EAI_NONAME), ("again.test", socket.EAI_AGAIN)):
            try:
                socket.getaddrinfo(name, 80)
            except socket.gaierror as error:
                assert error.errno == number and error.strerror, error
            else:
                raise AssertionError(name)
        try:
            socket.getaddrinfo("six.test", 80, socket.AF_INET)
        except socket.gaierror as error:
            assert error.errno == socket.EAI_NODATA
        # The short forms of `inet_aton` are left to the host, which denies them.
        for odd in ("127.1", "0x7f000001", "2130706433", "0177.0.0.1"):
            try:
                socket.getaddrinfo(odd, 80)
            except socket.gaierror:
                pass
            assert resolver.started[-1][0] == odd
        try:
            socket.getaddrinfo("denied.test", 80)
        except PermissionError as error:
            assert "rule" in str(error)
        else:
            raise AssertionError
        assert not resolver.live
    """)


def test_the_sandboxs_own_names_resolve_without_the_host(guest: Guest) -> None:
    guest("""
        import socket
        from wit_world.imports import resolver
        assert socket.gethostname() == "eryx"
        assert socket.gethostbyname(socket.gethostname()) == "127.0.0.1"
        assert socket.getfqdn() == "eryx"
        assert socket.getfqdn("127.0.0.1") == "localhost"
        assert socket.gethostbyaddr("127.0.0.1") == ("localhost", [], ["127.0.0.1"])
        assert socket.gethostbyname("") == "0.0.0.0"
        assert not resolver.started
        # If the policy denies `localhost`, it means the program itself where that listens.
        try:
            socket.getaddrinfo("localhost", 80)
        except PermissionError:
            pass
        else:
            raise AssertionError
        passive = socket.getaddrinfo("localhost", 80, type=1, flags=socket.AI_PASSIVE)
        assert [i[4][0] for i in passive] == ["127.0.0.1", "::1"]
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert [i[4] for i in socket.getaddrinfo("localhost", port, type=1)] == [("127.0.0.1", port)]
            socket.create_connection(("localhost", port)).close()
        try:
            socket.gethostbyaddr("192.0.2.1")
        except socket.herror as error:
            assert error.args == (1, "Unknown host")
        else:
            raise AssertionError
        assert socket.if_nameindex() == [(1, "lo")] and socket.if_nametoindex("lo") == 1
        try:
            socket.sethostname("x")
        except PermissionError:
            pass
    """)


def test_a_reverse_lookup_returns_the_name_an_address_was_resolved_from(guest: Guest) -> None:
    guest("""
        import asyncio, socket
        from wit_world.imports import network, resolver
        network.NAMES |= {"web.test": ["192.0.2.1", "2001:db8::1"], "other.test.": ["192.0.2.2"]}

        def unknown(function, *arguments):
            try:
                function(*arguments)
            except (socket.herror, socket.gaierror) as error:
                return type(error).__name__, error.args[0]

        assert unknown(socket.gethostbyaddr, "192.0.2.1") == ("herror", 1)
        assert socket.getfqdn("192.0.2.1") == "192.0.2.1"
        assert socket.gethostbyname_ex("web.test") == ("web.test", [], ["192.0.2.1"])
        lookups = len(resolver.started)
        assert socket.gethostbyaddr("192.0.2.1") == ("web.test", [], ["192.0.2.1"])
        assert socket.getfqdn("192.0.2.1") == "web.test"
        assert socket.getnameinfo(("192.0.2.1", 80), 0) == ("web.test", "http")
        assert socket.getnameinfo(("192.0.2.1", 80), socket.NI_NUMERICHOST) == ("192.0.2.1", "http")
        # Only the IPv4 addresses were resolved.
        assert unknown(socket.gethostbyaddr, "2001:db8::1") == ("herror", 1)
        assert unknown(socket.getnameinfo, ("192.0.2.9", 80), socket.NI_NAMEREQD) == (
            "gaierror", socket.EAI_NONAME)
        assert len(resolver.started) == lookups

        async def look_up():
            await asyncio.get_running_loop().getaddrinfo("other.test.", 80)
        asyncio.run(look_up())
        assert socket.gethostbyaddr("192.0.2.2")[0] == "other.test"
        assert socket.gethostbyaddr("web.test") == ("web.test", [], ["192.0.2.1"])
        assert socket.getfqdn("web.test") == "web.test"
        # Loopback addresses keep their own name.
        socket.getaddrinfo("server.test", 80)
        assert socket.gethostbyaddr("127.0.0.1")[0] == "localhost"
        assert unknown(socket.gethostbyaddr, "missing.test") == ("gaierror", socket.EAI_NONAME)
        try:
            socket.gethostbyaddr("denied.test")
        except PermissionError:
            pass
        else:
            raise AssertionError
        assert socket.getfqdn("denied.test") == "denied.test"

        # The number of cached names is bounded.
        from eryx_net.dns import resolved_names
        for n in range(2000):
            resolved_names.insert(f"n{n}.test", [f"198.51.{n // 256}.{n % 256}"])
        assert unknown(socket.gethostbyaddr, "192.0.2.1") == ("herror", 1)
        assert socket.gethostbyaddr("198.51.7.207")[0] == "n1999.test"
        assert len(resolved_names._names) == resolved_names.CAPACITY
    """)


@pytest.mark.parametrize(
    ("name", "protocol", "port"),
    [("http", "tcp", 80), ("https", None, 443), ("domain", "udp", 53), ("www", "tcp", 80)],
)
def test_getservbyname_returns_the_port_of_a_service(
    name: str, protocol: str | None, port: int
) -> None:
    arguments = (name,) if protocol is None else (name, protocol)
    assert services.getservbyname(*arguments) == port


def test_unknown_services_and_protocols_raise_the_same_errors_as_cpython() -> None:
    assert services.getservbyport(443) == "https"
    assert services.getservbyport(53, "udp") == "domain"
    assert services.getprotobyname("tcp") == 6
    with pytest.raises(OSError, match="service/proto not found"):
        services.getservbyname("nonsense")
    with pytest.raises(OSError, match="service/proto not found"):
        services.getservbyname("http", "udp")
    with pytest.raises(OSError, match="port/proto not found"):
        services.getservbyport(1)
    with pytest.raises(OverflowError):
        services.getservbyport(65536)
    with pytest.raises(OSError, match="protocol not found"):
        services.getprotobyname("nonsense")
