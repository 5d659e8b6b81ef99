"""The table of offsets of `time.tzset`, compared with `zoneinfo`."""

from __future__ import annotations

import calendar
import datetime
import os
import re
import struct
import sys
import time
import zoneinfo
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fake_host"))

import _eryx_local_time

MOMENTS = [
    *range(-2_000_000_000, 6_000_000_000, 20_000_003),
    *(calendar.timegm((2026, 3, 8, hour, 30, 0)) for hour in range(12)),
    *(calendar.timegm((2026, 11, 1, hour, 30, 0)) for hour in range(12)),
]
ZONES = (
    "America/New_York",
    "America/St_Johns",
    "Europe/Berlin",
    "Australia/Sydney",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
)


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch):
    """Returns the module, and restores `time` afterwards."""
    for name in ("mktime", "tzname", "timezone", "altzone", "daylight", "tzset"):
        monkeypatch.setattr(time, name, getattr(time, name))
    from eryx_guest import local_time

    monkeypatch.setattr(local_time, "_stock_mktime", lambda local: float(calendar.timegm(local)))

    def zone(name: str):
        monkeypatch.setenv("TZ", name)
        local_time.tzset()
        return local_time

    return zone


def found(moment: int) -> tuple[int, bool, str]:
    """Returns what the table has for a time: what `local_time.wat` finds."""
    table = _eryx_local_time.table
    entries = [struct.unpack_from("<qii", table, 16 * n) for n in range(_eryx_local_time.count)]
    _, seconds, kind = max([e for e in entries if e[0] <= moment] or entries[:1])
    name = table[kind >> 1 : table.index(b"\0", kind >> 1)]
    return seconds, bool(kind & 1), name.decode()


@pytest.mark.parametrize("name", ZONES)
def test_offsets_and_abbreviations_are_those_of_the_zone(local_time, name):
    local_time(name)
    zone = zoneinfo.ZoneInfo(name)
    for moment in MOMENTS:
        expected = datetime.datetime.fromtimestamp(moment, zone)
        seconds, _, abbreviation = found(moment)
        assert datetime.timedelta(seconds=seconds) == expected.utcoffset(), moment
        assert abbreviation == expected.tzname(), moment


@pytest.mark.parametrize("name", ZONES)
def test_mktime_is_the_inverse_of_local_time(local_time, name):
    module = local_time(name)
    for moment in MOMENTS:
        seconds, is_dst, _ = found(moment)
        local = tuple(time.gmtime(moment + seconds))[:8]
        assert module._mktime((*local, int(is_dst))) == moment


def test_rules_and_unknown_names(local_time):
    for text, names, offset in (
        ("EST5EDT,M3.2.0,M11.1.0", ("EST", "EDT"), 18000),
        ("<+0330>-3:30", ("+0330", "+0330"), -12600),
        (":Europe/Berlin", ("CET", "CEST"), -3600),
        ("no such zone", ("UTC", "UTC"), 0),
        ("", ("UTC", "UTC"), 0),
    ):
        local_time(text)
        assert (time.tzname, time.timezone) == (names, offset), text


# What the C library of WASI knows (musl): the text of a format with anything else is empty.
MUSL = re.compile(r"(?:[^%]|%[-_0]?[EO]?[aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%])*", re.DOTALL)


def musl_strftime(format: str, *when: object) -> str:
    """Returns what musl's function does."""
    return strftime(format, *when) if MUSL.fullmatch(format) else ""


strftime = time.strftime


@pytest.mark.parametrize("moment", [0, 1772694489, 1798761599, -1e9])
def test_strftime_has_the_directives_flags_and_widths_of_glibc(monkeypatch, moment):
    if sys.platform != "linux" or not os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("needs glibc to compare with")
    from eryx_guest import local_time

    monkeypatch.setattr(local_time, "_stock_strftime", musl_strftime)
    when = time.gmtime(moment)
    for letter in "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%QE":
        flags = ("", "-", "_", "0", "^", "#", "_-", "-_", "0_")
        widths = ("",) if letter == "z" else ("", "1", "2", "5", "20", "09")
        for directive in (f"%{flag}{width}{letter}" for flag in flags for width in widths):
            if letter in "zPQE" and set(directive) & set("-_^#0123456789"):
                # Implementations differ.
                continue
            format = f"a{directive} %k {directive}%%k%"
            assert local_time.strftime(format, when) == strftime(format, when), directive
    assert local_time.strftime("%l") == strftime("%l")
    assert local_time.strftime("%k", tuple(when)) == strftime("%k", tuple(when))


def test_strftime_raises_the_exceptions_of_the_stock_function():
    from eryx_guest import local_time

    for arguments in ((1,), ("%k", ()), ("%k", (2026, 13, 1, 0, 0, 0, 0, 0, 0)), ("%k", 1, 2)):
        with pytest.raises((TypeError, ValueError)) as expected:
            strftime(*arguments)
        with pytest.raises(expected.type) as found:
            local_time.strftime(*arguments)
        assert str(found.value) == str(expected.value)


def test_the_width_of_a_directive_of_strftime_is_bounded():
    from eryx_guest import local_time

    assert len(local_time.strftime("%k" + "%999999999999Y", time.gmtime(0))) < 2000
