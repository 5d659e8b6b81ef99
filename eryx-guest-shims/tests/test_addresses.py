"""Conversions of addresses against the C library, and the parsing of destinations."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eryx_net import addresses
from eryx_net.destination import parse


def outcome(function: object, *arguments: object) -> object:
    """Returns the result of a call, or the type of its exception."""
    try:
        return function(*arguments)  # type: ignore[operator]
    except (OSError, ValueError, OverflowError) as error:
        return type(error)


ADDRESS_LIKE = st.text("0123456789abcdefxX:. %", max_size=24)


@given(ADDRESS_LIKE | st.ip_addresses(v=4).map(str))
@example("1.2.3.4")
@example("01.2.3.4")
@example("1.2.3")
@example("256.1.1.1")
@example("1.2.3.4 ")
def test_parse_ipv4_accepts_the_same_text_as_inet_pton(text: str) -> None:
    packed = addresses.parse_ipv4(text)
    expected = outcome(socket.inet_pton, socket.AF_INET, text)
    assert packed == (None if expected is OSError else expected)


@given(
    ADDRESS_LIKE | st.ip_addresses(v=6).map(str) | st.ip_addresses(v=6).map(lambda a: a.exploded)
)
@example("::")
@example("1::")
@example("::1.2.3.4")
@example("1:2:3:4:5:6:7::")
@example("1:2:3:4:5:6:7:8::")
@example("::ffff:127.0.0.1")
@example("1:2:3:4:5:6:1.2.3.4")
@example("1::2::3")
@example(":::")
@example(":1")
@example("1:")
@example("fe80::1%lo")
@example("12345::")
def test_parse_ipv6_accepts_the_same_text_as_inet_pton(text: str) -> None:
    packed = addresses.parse_ipv6(text)
    expected = outcome(socket.inet_pton, socket.AF_INET6, text)
    assert packed == (None if expected is OSError else expected)


@given(
    st.binary(min_size=16, max_size=16)
    | st.lists(st.sampled_from([0, 0, 0, 255, 1]), min_size=16, max_size=16).map(bytes)
)
def test_format_ipv6_returns_the_same_text_as_inet_ntop(packed: bytes) -> None:
    text = addresses.format_ipv6(packed)
    assert text == socket.inet_ntop(socket.AF_INET6, packed)
    assert addresses.parse_ipv6(text) == packed
    assert ipaddress.IPv6Address(text).packed == packed


@given(ADDRESS_LIKE)
@example("127.1")
@example("0x7f.1")
@example("0177.0.0.1")
@example("4294967295")
@example("4294967296")
@example("1.2.65536")
@example("1.2.3.4 trailing")
@example("")
@example(" 1.2.3.4")
@example("08")
@example("0x")
def test_inet_aton_accepts_the_same_forms_as_the_c_library(text: str) -> None:
    expected = outcome(socket.inet_aton, text)
    actual = outcome(addresses.inet_aton, text)
    # C libraries differ in whether they accept trailing text.
    if " " not in text:
        assert actual == expected


@pytest.mark.parametrize(
    ("literal", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("128.0.0.1", False),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:7f00:1", True),
        ("::ffff:10.0.0.1", False),
        ("::", False),
        ("0.0.0.0", False),
        ("localhost", False),
        ("127.1", False),
    ],
)
def test_is_loopback_recognises_loopback_literals_only(literal: str, loopback: bool) -> None:
    assert addresses.is_loopback(literal) is loopback


@pytest.mark.parametrize(
    ("host", "family", "loopback", "guest_address"),
    [
        ("localhost", None, True, "::1"),
        ("LOCALHOST.", None, True, "::1"),
        ("eryx", None, True, "::1"),
        ("example.test", None, False, None),
        ("::1%lo", None, False, None),
        ("", None, False, None),
        ("127.0.0.9", socket.AF_INET, True, "127.0.0.9"),
        ("::ffff:127.0.0.1", socket.AF_INET6, True, "::ffff:127.0.0.1"),
        ("192.0.2.1", socket.AF_INET, False, None),
        # Not a loopback address, but it reaches a listener on one.
        ("0.0.0.0", socket.AF_INET, False, "127.0.0.1"),
        ("::", socket.AF_INET6, False, "::1"),
    ],
)
def test_a_destination_is_a_name_of_the_sandbox_a_literal_or_another_name(
    host: str, family: int | None, loopback: bool, guest_address: str | None
) -> None:
    destination = parse(host)
    assert (destination.host, destination.family, destination.loopback) == (host, family, loopback)
    assert destination.guest_address(socket.AF_INET6) == guest_address


@pytest.mark.parametrize("text", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "1.2"])
def test_a_short_form_of_an_address_is_a_name_that_the_host_is_asked_about(text: str) -> None:
    destination = parse(text)
    assert (destination.host, destination.family, destination.is_valid) == (text, None, True)
    assert not parse(text + " x").is_valid


@pytest.mark.parametrize("name", ["htons", "ntohs", "htonl", "ntohl"])
@pytest.mark.parametrize("value", [0, 1, 0x1234, 0xFFFF, 0x10000, 0xFFFFFFFF, 1 << 32, -1])
def test_byte_order_functions_match_cpython(name: str, value: int) -> None:
    assert outcome(getattr(addresses, name), value) == outcome(getattr(socket, name), value)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("inet_pton", (socket.AF_INET, "1.2.3")),
        ("inet_pton", (99, "1.2.3.4")),
        ("inet_ntop", (socket.AF_INET, b"1")),
        ("inet_ntop", (99, b"1234")),
        ("inet_ntoa", (b"12345",)),
        ("inet_ntoa", (b"\x01\x02\x03\x04",)),
        ("inet_ntop", (socket.AF_INET6, bytearray(16))),
    ],
)
def test_address_functions_raise_the_same_errors_as_cpython(
    function: str, arguments: tuple[object]
) -> None:
    actual = outcome(getattr(addresses, function), *arguments)
    assert actual == outcome(getattr(socket, function), *arguments)
