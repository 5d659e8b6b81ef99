"""Entries of the databases of users and groups, which `pwd` and `grp` look up."""

import operator
import os
from collections.abc import Iterable
from typing import Any, TypeVar

from eryx_guest.struct_sequence import StructSequence

Entry = TypeVar("Entry", bound=StructSequence)


def checked_id(number: Any, kind: str) -> int:
    """Returns a number of the kind "uid" or "gid". Raises TypeError for what is none."""
    if not hasattr(number, "__index__"):
        raise TypeError(f"{kind} should be integer, not {type(number).__name__}")
    return int(operator.index(number))


def find_id(entries: Iterable[Entry], number: int, error: str) -> Entry:
    """Returns the entry with a number, its third field. Raises KeyError with `error`."""
    for entry in entries:
        if entry[2] == number:
            return entry
    # The largest number is -1 in C.
    raise KeyError(f"{error}: {-1 if number == 0xFFFFFFFF else number}")


def find_name(entries: Iterable[Entry], name: str, function: str) -> Entry:
    """Returns the entry with a name, its first field. Raises KeyError of `function`."""
    if b"\0" in os.fsencode(name):
        raise ValueError("embedded null byte")
    for entry in entries:
        if entry[0] == name:
            return entry
    raise KeyError(f"{function}(): name not found: {name!r}")
