"""Entries of the databases of users and groups, which `pwd` and `grp` look up."""

import operator
from collections.abc import Iterable
from typing import TypeVar

from eryx_guest.struct_sequence import StructSequence

Entry = TypeVar("Entry", bound=StructSequence)


def find_id(entries: Iterable[Entry], number: int, error: str) -> Entry:
    """Returns the entry with a number, its third field. Raises KeyError with `error`."""
    wanted = operator.index(number)
    for entry in entries:
        if entry[2] == wanted:
            return entry
    raise KeyError(f"{error}: {number}")


def find_name(entries: Iterable[Entry], name: str, function: str) -> Entry:
    """Returns the entry with a name, its first field. Raises KeyError of `function`."""
    if not isinstance(name, str):
        raise TypeError(f"{function}() argument must be str, not {type(name).__name__}")
    if "\0" in name:
        raise ValueError("embedded null character")
    for entry in entries:
        if entry[0] == name:
            return entry
    raise KeyError(f"{function}(): name not found: {name!r}")
