"""Time zones of the image, and the local time that TZ names."""

import calendar
import contextlib
import datetime
import email.utils
import importlib
import locale
import os
import time
import zoneinfo

berlin = zoneinfo.ZoneInfo("Europe/Berlin")
summer = datetime.datetime(2026, 7, 1, 12, tzinfo=berlin)
assert summer.isoformat() == "2026-07-01T12:00:00+02:00"
assert str(zoneinfo.ZoneInfo("UTC")) == "UTC"
assert {
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "UTC",
} <= zoneinfo.available_timezones()
assert len(zoneinfo.available_timezones()) > 500
with contextlib.suppress(zoneinfo.ZoneInfoNotFoundError):
    zoneinfo.ZoneInfo("Mars/Olympus")
    raise AssertionError("a zone that does not exist")

# The sandbox has TZ=America/New_York.
assert os.environ["TZ"] == "America/New_York"
assert (time.tzname, time.timezone, time.altzone, time.daylight) == (
    ("EST", "EDT"),
    18000,
    14400,
    1,
)


def agrees(name, moments):
    """Returns whether local time agrees with the zone of that name."""
    zone = zoneinfo.ZoneInfo(name)
    for moment in moments:
        expected = datetime.datetime.fromtimestamp(moment, zone)
        local = time.localtime(moment)
        if tuple(local)[:6] != tuple(expected.timetuple())[:6]:
            return f"{name} {moment}: {local} {expected}"
        if (local.tm_zone, local.tm_gmtoff) != (
            expected.tzname(),
            expected.utcoffset() // datetime.timedelta(seconds=1),
        ):
            return f"{name} {moment}: {local} {expected!r}"
        if bool(local.tm_isdst) is not bool(expected.dst()):
            return f"{name} {moment}: {local} {expected.dst()}"
        if time.mktime(local) != moment:
            return f"{name} {moment}: {time.mktime(local)}"
        naive = datetime.datetime.fromtimestamp(moment)
        if naive.timetuple()[:6] != expected.timetuple()[:6]:
            return f"{name} {moment}: datetime"
    return ""


MOMENTS = [
    *range(0, 5_000_000_000, 40_000_013),
    *(calendar.timegm((2026, 3, 8, hour, 30, 0)) for hour in range(12)),
    *(calendar.timegm((2026, 11, 1, hour, 30, 0)) for hour in range(12)),
]
assert agrees("America/New_York", MOMENTS) == ""
aware = datetime.datetime(2026, 7, 1, 12).astimezone()
assert (aware.tzname(), aware.utcoffset()) == ("EDT", datetime.timedelta(hours=-4))
assert time.strftime("%Z %z", time.localtime(1782900000)) == "EDT -0400"
assert email.utils.formatdate(1782900000, localtime=True).endswith("-0400")
# WASI's C library has none of these: the whole text was empty.
assert time.strftime("%k:%M|%-l %P|%^a|%s|%5d|%", time.localtime(1782900000)) == (
    " 6:00|6 am|WED|1782900000|00001|%"
)
assert f"{datetime.datetime.fromtimestamp(1782900000):%l %P %f}" == " 6 am 000000"

for name in ("Europe/Berlin", "Australia/Sydney", "Asia/Kolkata", "America/St_Johns"):
    os.environ["TZ"] = name
    time.tzset()
    assert agrees(name, MOMENTS) == ""
os.environ["TZ"] = "EST5EDT,M3.2.0,M11.1.0"
time.tzset()
assert time.localtime(1782900000).tm_zone == "EDT"
os.environ["TZ"] = "<+0330>-3:30"
time.tzset()
assert (time.tzname[0], time.timezone, time.localtime(0).tm_hour) == ("+0330", -12600, 3)
os.environ["TZ"] = "no such zone"
time.tzset()
assert (time.tzname, time.localtime(0).tm_hour) == (("UTC", "UTC"), 0)
del os.environ["TZ"]
time.tzset()
assert (time.tzname, time.timezone, time.mktime(time.gmtime(86400))) == (("UTC", "UTC"), 0, 86400)

assert locale.setlocale(locale.LC_ALL, "") is not None
assert locale.getlocale() == ("C", "UTF-8")
assert locale.localeconv()["decimal_point"] == "."
assert locale.format_string("%.2f", 1.5) == "1.50"
assert importlib.util.find_spec("tzdata") is None
print("ok")
