"""The users of a sandbox: one, and those that programs look up by name."""

import operator
from typing import Any

_FIELDS = ("pw_name", "pw_passwd", "pw_uid", "pw_gid", "pw_gecos", "pw_dir", "pw_shell")


class struct_passwd(tuple):  # type: ignore[type-arg]
    """pwd.struct_passwd: Results from getpw*() routines."""

    __slots__ = ()
    n_fields = n_sequence_fields = len(_FIELDS)
    n_unnamed_fields = 0
    __match_args__ = _FIELDS

    pw_name = property(operator.itemgetter(0), doc="user name")
    pw_passwd = property(operator.itemgetter(1), doc="password")
    pw_uid = property(operator.itemgetter(2), doc="user id")
    pw_gid = property(operator.itemgetter(3), doc="group id")
    pw_gecos = property(operator.itemgetter(4), doc="real name")
    pw_dir = property(operator.itemgetter(5), doc="home directory")
    pw_shell = property(operator.itemgetter(6), doc="shell program")

    def __new__(cls, values: Any) -> "struct_passwd":
        made = tuple.__new__(cls, values)
        if len(made) != len(_FIELDS):
            raise TypeError(
                f"pwd.struct_passwd() takes a {len(_FIELDS)}-sequence ({len(made)}-sequence given)"
            )
        return made

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(_FIELDS, self, strict=True))
        return f"pwd.struct_passwd({fields})"

    def __reduce__(self) -> Any:
        return struct_passwd, (tuple(self),)


_USERS = (
    struct_passwd(("user", "x", 0, 0, "", "/home/user", "/bin/sh")),
    struct_passwd(("root", "x", 0, 0, "", "/home/user", "/bin/sh")),
    struct_passwd(("nobody", "x", 65534, 65534, "", "/", "/bin/false")),
)


def getpwuid(uid: int, /) -> struct_passwd:
    """Return the password database entry for the given numeric user ID."""
    number = operator.index(uid)
    for entry in _USERS:
        if entry.pw_uid == number:
            return entry
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def getpwnam(name: str, /) -> struct_passwd:
    """Return the password database entry for the given user name."""
    if not isinstance(name, str):
        raise TypeError(f"getpwnam() argument must be str, not {type(name).__name__}")
    if "\0" in name:
        raise ValueError("embedded null character")
    for entry in _USERS:
        if entry.pw_name == name:
            return entry
    raise KeyError(f"getpwnam(): name not found: {name!r}")


def getpwall() -> list[struct_passwd]:
    """Return a list of all available password database entries, in arbitrary order."""
    return list(_USERS)
