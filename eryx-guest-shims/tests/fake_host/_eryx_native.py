"""The functions of `_eryx_native` that `eryx_net` calls."""

import os
from os import dup as dup
from os import dup2 as dup2


def set_errno(number: int) -> None:
    """Does nothing: this interpreter has `_eryx_native`'s effect from its own system calls."""


def open_descriptors() -> list[int]:
    """Returns the open descriptors except for the standard ones."""
    return [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
