"""The table of offsets of `time.tzset`, compared with `zoneinfo`."""

from __future__ import annotations

import calendar
import datetime
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
