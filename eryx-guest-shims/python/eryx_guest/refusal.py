"""Functions that exist so that programs can be imported, and refuse when they are called."""

import errno
import sys
from collections.abc import Callable
from typing import Any, NoReturn

NO_PROCESSES = (
    "a sandbox has no processes but its own; call a function of the embedder (`import tools`) for "
    "work that another program does"
)


def denied(name: str, reason: str) -> PermissionError:
    """Returns the exception of a function that a sandbox cannot have."""
    return PermissionError(errno.EPERM, f"{name}: {reason}")


def refusing(
    name: str, reason: str, module: str = "posix", audited: bool = False
) -> Callable[..., Any]:
    """Returns a function that raises `denied`. `name` is its name with its module.

    It is that of an audit event with the same arguments, too, if there is one.
    """

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        if audited:
            sys.audit(name, *args, *kwargs.values())
        raise denied(name, reason)

    refuse.__name__ = refuse.__qualname__ = name.rpartition(".")[2]
    refuse.__module__ = module
    refuse.__doc__ = f"Raises PermissionError: {reason}."
    return refuse
