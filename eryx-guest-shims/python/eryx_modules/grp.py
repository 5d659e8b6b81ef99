"""The groups of a sandbox: that of its user, and those that programs look up by name."""

import operator
from typing import Any

_FIELDS = ("gr_name", "gr_passwd", "gr_gid", "gr_mem")


class struct_group(tuple):  # type: ignore[type-arg]
    """grp.struct_group: Results from getgr*() routines."""

    __slots__ = ()
    n_fields = n_sequence_fields = len(_FIELDS)
    n_unnamed_fields = 0
    __match_args__ = _FIELDS

    gr_name = property(operator.itemgetter(0), doc="group name")
    gr_passwd = property(operator.itemgetter(1), doc="password")
    gr_gid = property(operator.itemgetter(2), doc="group id")
    gr_mem = property(operator.itemgetter(3), doc="group members")

    def __new__(cls, values: Any) -> "struct_group":
        made = tuple.__new__(cls, values)
        if len(made) != len(_FIELDS):
            raise TypeError(
                f"grp.struct_group() takes a {len(_FIELDS)}-sequence ({len(made)}-sequence given)"
            )
        return made

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(_FIELDS, self, strict=True))
        return f"grp.struct_group({fields})"

    def __reduce__(self) -> Any:
        return struct_group, (tuple(self),)


_GROUPS = (("user", "x", 0), ("root", "x", 0), ("nogroup", "x", 65534))


def getgrgid(id: int) -> struct_group:
    """Return the group database entry for the given numeric group ID."""
    number = operator.index(id)
    for entry in getgrall():
        if entry.gr_gid == number:
            return entry
    raise KeyError(f"getgrgid(): gid not found: {id}")


def getgrnam(name: str) -> struct_group:
    """Return the group database entry for the given group name."""
    if not isinstance(name, str):
        raise TypeError(f"getgrnam() argument must be str, not {type(name).__name__}")
    if "\0" in name:
        raise ValueError("embedded null character")
    for entry in getgrall():
        if entry.gr_name == name:
            return entry
    raise KeyError(f"getgrnam(): name not found: {name!r}")


def getgrall() -> list[struct_group]:
    """Return a list of all available group entries, in arbitrary order."""
    # The lists of members are new, as programs may change them.
    return [struct_group((*entry, [])) for entry in _GROUPS]
