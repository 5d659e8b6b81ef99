"""Memory shared with other processes, which a sandbox refuses."""

from typing import NoReturn

from eryx_guest.refusal import denied


def shm_open(path: str, flags: int, mode: int = 511) -> NoReturn:
    """Raises PermissionError: a sandbox has no other process to share memory with."""
    raise denied(
        "shared memory", "a sandbox has no other process to share memory with; use a bytearray"
    )


def shm_unlink(path: str) -> NoReturn:
    """Raises FileNotFoundError: a sandbox has no shared memory."""
    raise FileNotFoundError(path)
