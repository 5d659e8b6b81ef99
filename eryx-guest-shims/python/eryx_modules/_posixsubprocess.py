"""The start of other programs, which a sandbox refuses."""

from typing import Any, NoReturn

from eryx_guest.refusal import NO_PROCESSES, denied


def fork_exec(*args: Any) -> NoReturn:
    """Raises PermissionError: a sandbox has no processes but its own."""
    raise denied("subprocess", NO_PROCESSES)
