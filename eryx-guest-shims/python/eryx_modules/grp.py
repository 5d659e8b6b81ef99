"""The groups of a sandbox: that of its user, and those that programs look up by name."""

from eryx_guest import accounts
from eryx_guest.struct_sequence import StructSequence


class struct_group(
    StructSequence,
    fields={
        "gr_name": "group name",
        "gr_passwd": "password",
        "gr_gid": "group id",
        "gr_mem": "group members",
    },
):
    """grp.struct_group: Results from getgr*() routines."""

    __slots__ = ()


_GROUPS = (("user", "x", 0), ("root", "x", 0), ("nogroup", "x", 65534))


def getgrgid(id: int) -> struct_group:
    """Return the group database entry for the given numeric group ID."""
    number = accounts.checked_id(id, "gid")
    if not -1 <= number < 1 << 32:
        raise OverflowError(
            f"gid is {'less than minimum' if number < 0 else 'greater than maximum'}"
        )
    return accounts.find_id(getgrall(), number, "getgrgid(): gid not found")


def getgrnam(name: str) -> struct_group:
    """Return the group database entry for the given group name."""
    if not isinstance(name, str):
        raise TypeError(f"getgrnam() argument 1 must be str, not {type(name).__name__}")
    return accounts.find_name(getgrall(), name, "getgrnam")


def getgrall() -> list[struct_group]:
    """Return a list of all available group entries, in arbitrary order."""
    # The lists of members are new, as programs may change them.
    return [struct_group((*entry, [])) for entry in _GROUPS]
