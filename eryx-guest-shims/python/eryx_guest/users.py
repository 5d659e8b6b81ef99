"""The functions of `os` for users: a sandbox has one, who owns all files and the process.

The user has number 0, as WASI reports 0 as the owner of every file: libraries compare the owner
with the user.
"""

import operator

from eryx_guest.refusal import denied, refusing

NAME = "user"
ID = 0

_ONE_USER = f"a sandbox has one user and one group, number {ID}"
_REFUSED = (
    *("setuid", "seteuid", "setreuid", "setresuid"),
    *("setgid", "setegid", "setregid", "setresgid", "setgroups", "initgroups"),
)

_mask = 0o077


def getuid() -> int:
    """Return the current process's user id."""
    return ID


def geteuid() -> int:
    """Return the current process's effective user id."""
    return ID


def getgid() -> int:
    """Return the current process's group id."""
    return ID


def getegid() -> int:
    """Return the current process's effective group id."""
    return ID


def getgroups() -> list[int]:
    """Return list of supplemental group IDs for the process."""
    return [ID]


def getgrouplist(user: str, group: int, /) -> list[int]:
    """Returns a list of groups to which a user belongs."""
    return [operator.index(group)]


def getresuid() -> tuple[int, int, int]:
    """Return a tuple of the current process's real, effective, and saved user ids."""
    return (ID, ID, ID)


def getresgid() -> tuple[int, int, int]:
    """Return a tuple of the current process's real, effective, and saved group ids."""
    return (ID, ID, ID)


def getlogin() -> str:
    """Return the actual login name."""
    return NAME


def umask(mask: int, /) -> int:
    """Set the current numeric umask and return the previous umask.

    The permissions of files are the same with every umask.
    """
    global _mask
    previous, _mask = _mask, operator.index(mask) & 0o777
    return previous


def check_owner(name: str, uid: int, gid: int) -> None:
    """Raises PermissionError for another owner than the only user."""
    if operator.index(uid) not in (-1, ID) or operator.index(gid) not in (-1, ID):
        raise denied(name, _ONE_USER)


FUNCTIONS = (
    *(getuid, geteuid, getgid, getegid, getgroups, getgrouplist, getresuid, getresgid, getlogin),
    umask,
    *(refusing(f"os.{name}", _ONE_USER) for name in _REFUSED),
)
"""What `os` gets from this module."""
