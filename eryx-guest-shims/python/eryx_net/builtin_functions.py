"""Python functions in place of CPython's built-in functions.

Programs assign those to class attributes (`getpid = os.getpid`), where a Python function would
become a method, and copy and pickle them. Their call is C code, below which threads do not wait:
functions that wait stay Python functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any


class BuiltinFunction(staticmethod):  # type: ignore[type-arg]
    """A function that looks to programs like a built-in function of its `__module__`."""

    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        return self

    def __reduce__(self) -> str:
        # What `pickle` looks up in the module of a function. A copy is the function itself.
        return str(self.__qualname__)

    def __repr__(self) -> str:
        return f"<built-in function {self.__name__}>"

    @property
    def __self__(self) -> Any:
        """The module of the function."""
        return sys.modules.get(self.__module__)


BuiltinFunction.__name__ = BuiltinFunction.__qualname__ = "builtin_function_or_method"
BuiltinFunction.__module__ = "builtins"


class WaitingFunction(BuiltinFunction):
    """A function that waits. As an attribute of a class, it is the Python function."""

    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        return self.__wrapped__


WaitingFunction.__name__ = WaitingFunction.__qualname__ = BuiltinFunction.__name__
WaitingFunction.__module__ = BuiltinFunction.__module__


def built_in(function: Callable[..., Any]) -> Any:
    """Returns a function as programs get it."""
    return BuiltinFunction(function)


def make_built_in(
    module: ModuleType, name: str, names: Iterable[str] | None = None, waiting: Iterable[str] = ()
) -> None:
    """Makes functions of a module in Python look like those of the module `name` in C.

    Without `names`, all public functions that the module defines. `waiting` are those that wait.
    """
    if names is None:
        own = (module.__name__, name)
        names = [
            attribute
            for attribute, value in vars(module).items()
            if not attribute.startswith("_")
            and type(value) is FunctionType
            and (value.__module__ in own or value.__module__.startswith(f"{module.__name__}."))
        ]
    for attribute in names:
        function = getattr(module, attribute)
        if type(function) is FunctionType:
            function.__module__ = name
            if attribute not in waiting:
                setattr(module, attribute, built_in(function))
