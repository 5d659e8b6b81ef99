"""The functions of `_eryx_native` that `eryx_net` calls."""

from os import dup as dup
from os import dup2 as dup2


def set_errno(number: int) -> None:
    """Does nothing: this interpreter has `_eryx_native`'s effect from its own system calls."""
