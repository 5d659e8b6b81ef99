"""Python functions in place of CPython's built-in functions.

Programs assign those to class attributes (`getpid = os.getpid`), where a Python function would
become a method, and copy them. A static method is called like a function there, too. Its call is C
code, below which threads do not wait: functions that wait stay Python functions.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any


def built_in(function: Callable[..., Any]) -> Any:
    """Returns a function as programs get it."""
    return staticmethod(function)


def _name(function: Any) -> str:
    """Returns what `pickle` looks up in the module of a function. A copy is the function itself."""
    name: str = function.__qualname__
    return name


copyreg.pickle(staticmethod, _name)
