"""The users of a sandbox: one, and those that programs look up by name."""

from eryx_guest import accounts
from eryx_guest.struct_sequence import StructSequence


class struct_passwd(
    StructSequence,
    fields={
        "pw_name": "user name",
        "pw_passwd": "password",
        "pw_uid": "user id",
        "pw_gid": "group id",
        "pw_gecos": "real name",
        "pw_dir": "home directory",
        "pw_shell": "shell program",
    },
):
    """pwd.struct_passwd: Results from getpw*() routines."""

    __slots__ = ()


_USERS = (
    struct_passwd(("user", "x", 0, 0, "", "/home/user", "/bin/sh")),
    struct_passwd(("root", "x", 0, 0, "", "/home/user", "/bin/sh")),
    struct_passwd(("nobody", "x", 65534, 65534, "", "/", "/bin/false")),
)


def getpwuid(uid: int, /) -> struct_passwd:
    """Return the password database entry for the given numeric user ID."""
    number = accounts.checked_id(uid, "uid")
    if not -1 <= number < 1 << 32:
        raise KeyError("getpwuid(): uid not found")
    return accounts.find_id(_USERS, number, "getpwuid(): uid not found")


def getpwnam(name: str, /) -> struct_passwd:
    """Return the password database entry for the given user name."""
    if not isinstance(name, str):
        raise TypeError(f"getpwnam() argument must be str, not {type(name).__name__}")
    return accounts.find_name(_USERS, name, "getpwnam")


def getpwall() -> list[struct_passwd]:
    """Return a list of all available password database entries, in arbitrary order."""
    return list(_USERS)
