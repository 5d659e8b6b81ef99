"""Addresses between text and bytes, against the C library's functions and against tables."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eryx_net import addresses


def outcome(function: object, *arguments: object) -> object:
    """What a call returns, or the type of what it raises."""
    try:
        return function(*arguments)  # type: ignore[operator]
    except (OSError, ValueError, OverflowError) as error:
        return type(error)


LIKELY = st.text("0123456789abcdefxX:. %", max_size=24)


@given(LIKELY | st.ip_addresses(v=4).map(str))
@example("1.2.3.4")
@example("01.2.3.4")
@example("1.2.3")
@example("256.1.1.1")
@example("1.2.3.4 ")
def test_dotted_quads_are_read_as_inet_pton_reads_them(text: str) -> None:
    packed = addresses.parse_ipv4(text)
    expected = outcome(socket.inet_pton, socket.AF_INET, text)
    assert packed == (None if expected is OSError else expected)


@given(LIKELY | st.ip_addresses(v=6).map(str) | st.ip_addresses(v=6).map(lambda a: a.exploded))
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
def test_ipv6_literals_are_read_as_inet_pton_reads_them(text: str) -> None:
    packed = addresses.parse_ipv6(text)
    expected = outcome(socket.inet_pton, socket.AF_INET6, text)
    assert packed == (None if expected is OSError else expected)


@given(
    st.binary(min_size=16, max_size=16)
    | st.lists(st.sampled_from([0, 0, 0, 255, 1]), min_size=16, max_size=16).map(bytes)
)
def test_ipv6_addresses_are_written_as_inet_ntop_writes_them(packed: bytes) -> None:
    text = addresses.format_ipv6(packed)
    assert text == socket.inet_ntop(socket.AF_INET6, packed)
    assert addresses.parse_ipv6(text) == packed
    assert ipaddress.IPv6Address(text).packed == packed


@given(LIKELY)
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
def test_inet_aton_takes_every_form_the_c_library_takes(text: str) -> None:
    expected = outcome(socket.inet_aton, text)
    found = outcome(addresses.inet_aton, text)
    # musl and older C libraries disagree about trailing text; only the address matters then.
    if " " not in text:
        assert found == expected


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
def test_loopback_is_what_means_this_machine(literal: str, loopback: bool) -> None:
    assert addresses.is_loopback(literal) is loopback


@pytest.mark.parametrize("name", ["htons", "ntohs", "htonl", "ntohl"])
@pytest.mark.parametrize("value", [0, 1, 0x1234, 0xFFFF, 0x10000, 0xFFFFFFFF, 1 << 32, -1])
def test_byte_orders_are_swapped_as_cpython_does(name: str, value: int) -> None:
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
def test_bad_arguments_raise_what_cpython_raises(function: str, arguments: tuple[object]) -> None:
    found = outcome(getattr(addresses, function), *arguments)
    assert found == outcome(getattr(socket, function), *arguments)
