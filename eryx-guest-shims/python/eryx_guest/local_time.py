"""Local time: `time.tzset`, the time zone that the variable TZ names, and `time.strftime`.

WASI's C library knows UTC alone. `local_time.wat` replaces its `localtime_r`, which all functions
of `time` and `datetime` use, and reads a table of offsets that this module makes.
"""

import bisect
import operator
import os
import re
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import _eryx_local_time

from eryx_net.builtin_functions import built_in

# TZ in all these forms is UTC, without a look at the database.
_UTC = {"", "UTC", "UTC0", "Etc/UTC", "GMT", "GMT0"}

# The last year that has the rules of a time zone. Later times have the offset of its end.
_LAST_YEAR = 2500

_FIRST_TIME = -(2**63)
_DAY = 86_400

# The directory of the files that ":/usr/share/zoneinfo/Europe/Berlin" names.
_DATABASE = "/usr/share/zoneinfo/"

# Directives of `strftime` that the C library does not have, or not with these flags.
_OTHER_DIRECTIVE = re.compile("%(?![-_0]?[EO]?[aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%])")

# A directive of glibc: flags, width, modifier, letter.
_DIRECTIVE = re.compile(r"%([-_0^#]*)([0-9]*)([EO]?)(.?)", re.DOTALL)
_NUMBERS = "CdegGHIjklmMSuUVwWyY"
_TEXTS = "aAbBcDFhnpPrRstTxXZ%"

# The most characters of a directive: the program chooses the width. CPython returns an empty text
# if it would be more than 256 times as long as the format.
_MAX_WIDTH = 1024

# How a rule begins: an abbreviation, and its offset.
_RULE = re.compile(r"(<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})[+-]?[0-9]")

_stock_mktime: Callable[[Any], float] = time.mktime
_stock_strftime: Any = time.strftime
_time: Any = time


class _Offset(NamedTuple):
    """What applies from a time on, in seconds since the epoch."""

    begin: int
    seconds: int
    is_dst: bool
    abbreviation: str


# Of the time zone; empty for UTC.
_offsets: list[_Offset] = []


def install() -> None:
    """Adds `time.tzset`, which WASI lacks, and replaces `time.strftime`."""
    for function in (tzset, strftime):
        function.__module__ = time.__name__
        setattr(_time, function.__name__, built_in(function))


def tzset() -> None:
    """tzset()

    Initialize, or reinitialize, the local timezone to the value stored in os.environ['TZ']. The TZ
    environment variable should be specified in standard Unix timezone format as documented in the
    tzset man page (eg. 'US/Eastern', 'Europe/Amsterdam'). Unknown timezones will silently fall back
    to UTC."""
    global _offsets
    name = os.environ.get("TZ", "").removeprefix(":").removeprefix(_DATABASE)
    _offsets = [] if name in _UTC else _load(name)
    _eryx_local_time.set(*_table(_offsets))
    _time.mktime = built_in(_mktime) if _offsets else _stock_mktime
    _set_names()


def _load(name: str) -> list[_Offset]:
    """Returns the offsets of a zone of the database, or of a rule (POSIX.1-2024, chapter 8)."""
    from zoneinfo import ZoneInfoNotFoundError, _common, _tzpath

    common: Any = _common
    content = None
    try:
        path = _tzpath.find_tzfile(name)
        with open(path, "rb") if path is not None else common.load_tzdata(name) as file:
            content = common.load_data(file)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        content = None
    if content is None:
        return _of_rule(name, None)
    types, times, seconds, are_dst, abbreviations, rule = content
    offsets = [
        _Offset(begin, seconds[each], bool(are_dst[each]), abbreviations[each])
        for begin, each in zip(times, types, strict=True)
    ]
    if seconds:
        # Before the first change applies the first standard time.
        first = next((index for index, is_dst in enumerate(are_dst) if not is_dst), 0)
        offsets.insert(
            0, _Offset(_FIRST_TIME, seconds[first], bool(are_dst[first]), abbreviations[first])
        )
    if rule:
        text = rule.decode() if isinstance(rule, bytes) else rule
        offsets += _of_rule(text, offsets[-1] if offsets else None)
    return offsets


def _of_rule(text: str, last: _Offset | None) -> list[_Offset]:
    """Returns the offsets of a rule after those of a zone."""
    from zoneinfo import _zoneinfo  # type: ignore[attr-defined]

    if not _RULE.match(text):
        return []
    try:
        rule: Any = _zoneinfo._parse_tz_str(text)
    except ValueError:
        return []
    begin = last.begin if last is not None else _FIRST_TIME
    if not isinstance(rule, _zoneinfo._TZStr):
        only = _Offset(begin + 1 if last else begin, *_of_type(rule))
        return [] if last is not None and last[1:] == only[1:] else [only]
    standard, summer = _of_type(rule.std), _of_type(rule.dst)
    offsets = [] if last is not None else [_Offset(begin, *standard)]
    first_year = 1900 if last is None or begin == _FIRST_TIME else time.gmtime(begin).tm_year
    for year in range(first_year, _LAST_YEAR + 1):
        start, end = rule.transitions(year)
        changes = [_Offset(start - standard[0], *summer), _Offset(end - summer[0], *standard)]
        offsets += [each for each in sorted(changes) if each.begin > begin]
    return offsets


def _of_type(kind: Any) -> tuple[int, bool, str]:
    return round(kind.utcoff.total_seconds()), bool(kind.dstoff), kind.tzname


def _table(offsets: list[_Offset]) -> tuple[bytes, int]:
    """Returns the table that `local_time.wat` reads, and the number of its entries."""
    names = b""
    positions: dict[str, int] = {}
    size = struct.calcsize("<qii") * len(offsets)
    for each in offsets:
        if each.abbreviation not in positions:
            positions[each.abbreviation] = size + len(names)
            names += each.abbreviation.encode("ascii", "replace") + b"\0"
    entries = (
        struct.pack(
            "<qii", each.begin, each.seconds, positions[each.abbreviation] << 1 | each.is_dst
        )
        for each in offsets
    )
    return b"".join(entries) + names, len(offsets)


def _at(moment: float) -> _Offset:
    """Returns what applies at a time."""
    index = bisect.bisect_right(_offsets, moment, key=operator.attrgetter("begin"))
    return _offsets[max(index - 1, 0)]


def _set_names() -> None:
    """Sets `time.tzname`, `timezone`, `altzone` and `daylight` to the values of this year."""
    standard = summer = None
    if _offsets:
        year = time.gmtime().tm_year
        january = _stock_mktime((year, 1, 1, 0, 0, 0, 0, 1, 0))
        found = [_at(january), _at(january + 182 * _DAY)]
        standard = next((each for each in found if not each.is_dst), found[0])
        summer = next((each for each in found if each.is_dst), None)
    first = standard.abbreviation if standard is not None else "UTC"
    _time.tzname = (first, summer.abbreviation if summer is not None else first)
    _time.timezone = -standard.seconds if standard is not None else 0
    _time.altzone = -summer.seconds if summer is not None else _time.timezone
    _time.daylight = int(summer is not None)


def _mktime(local: Any, /) -> float:
    """mktime(tuple) -> floating-point number

    Convert a time tuple in local time to seconds since the Epoch."""
    moment = _stock_mktime(local)
    wanted = tuple(local)[8]
    # A time that does not exist, or exists twice, is within a day of a change.
    candidates = [
        (moment - offset.seconds, offset) for offset in (_at(moment - _DAY), _at(moment + _DAY))
    ]
    valid = [each for each in candidates if _at(each[0]).seconds == each[1].seconds] or candidates
    if wanted >= 0:
        matching = [each for each in candidates if each[1].is_dst == bool(wanted)]
        if matching and matching[0] in valid:
            return matching[0][0]
        if bool(wanted) != valid[0][1].is_dst:
            # The caller's clock is in the other time of the year.
            return valid[0][0] + (-3600 if wanted else 3600)
    return valid[0][0]


def strftime(format: str, *when: Any) -> str:
    """strftime(format[, tuple]) -> string

    Convert a time tuple to a string according to a format specification. All directives and flags
    of glibc are available: where WASI's C library does not know one, its text is empty."""
    if not isinstance(format, str) or len(when) > 1 or not _OTHER_DIRECTIVE.search(format):
        text: str = _stock_strftime(format, *when)
        return text
    moment = when[0] if when else time.localtime()
    # Raises the exceptions for a wrong time.
    _stock_strftime("", moment)

    def expand(directive: re.Match[str]) -> str:
        flags, width, modifier, letter = directive.groups()
        padding = next((flag for flag in reversed(flags) if flag in "-_0"), "")
        size = min(int(width[:5] or 0), _MAX_WIDTH)
        if modifier and letter in "klPs":
            return directive[0]
        if letter and letter in _NUMBERS:
            number = _number(letter, modifier, moment)
            return _padded(number, padding or ("_" if letter in "ekl" else "0"), size)
        if letter == "z":
            # Without flags, which no code here uses.
            return str(_stock_strftime("%z", moment))
        if not letter or letter not in _TEXTS:
            return directive[0]
        if letter == "s":
            text = str(int(time.mktime(moment)))
        else:
            text = _stock_strftime("%" + modifier + letter.replace("P", "p"), moment)
        if letter == "P" or ("#" in flags and letter in "pZ"):
            text = text.lower()
        elif "^" in flags or ("#" in flags and letter in "aAbBh"):
            text = text.upper()
        return text.rjust(size, "0" if padding == "0" else " ")

    return _DIRECTIVE.sub(expand, format)


def _number(letter: str, modifier: str, moment: Any) -> str:
    """Returns the number of a directive with its usual padding."""
    if letter == "k":
        return f"{moment[3]:2}"
    if letter == "l":
        return f"{(moment[3] - 1) % 12 + 1:2}"
    return str(_stock_strftime("%" + modifier + letter, moment))


def _padded(number: str, padding: str, size: int) -> str:
    """Returns a number with the padding of a flag, and at least `size` characters."""
    digits = number.lstrip(" ").lstrip("0") or "0"
    if padding == "-":
        return digits.rjust(size)
    return digits.rjust(max(size, len(number)), " " if padding == "_" else "0")


_mktime.__name__ = _mktime.__qualname__ = "mktime"
_mktime.__module__ = time.__name__
