"""The module with the functions of the embedder: `tools`, unless it has another name.

It exists in sandboxes that have functions, and is made when a program imports it. A function that
the embedder declared as asynchronous returns an awaitable; any other blocks until it has a result.
"""

import ast
import importlib.machinery
import inspect
import types
from collections.abc import Callable
from importlib.abc import Loader
from typing import Any

from eryx_guest import tool_calls
from eryx_net.host import interfaces

# The modules that a program has imported, with their loaders.
_imported: dict[str, tuple[types.ModuleType, "_Loader"]] = {}


def refresh(functions_in: Callable[[str], list[Any]]) -> None:
    """Gives the modules that a program has imported the functions that are offered now.

    `functions_in` returns their descriptions by the name of a module. A restored session may be in
    another sandbox than before. A function that this does not offer stays: a call of it says so.
    """
    for name, (module, loader) in _imported.items():
        loader.update(module, functions_in(name))


def find_spec(name: str, descriptions: list[Any]) -> importlib.machinery.ModuleSpec:
    """Returns the spec of the module `name` with the functions of `descriptions`.

    Raises ImportError if a package or a file of the program has a module of that name, too.
    """
    other = importlib.machinery.PathFinder.find_spec(name)
    # Without an origin it is a directory, which may have that name.
    if other is not None and other.origin is not None:
        raise ImportError(
            f"the embedder's functions are in the module {name!r}, but {other.origin} is a module"
            " of that name, too: rename that, or have the embedder choose another name"
            " (functions_module)",
            name=name,
            path=other.origin,
        )
    return importlib.machinery.ModuleSpec(name, _Loader(descriptions), origin="the embedder")


class _Loader(Loader):
    """Fills the module with functions."""

    def __init__(self, descriptions: list[Any]) -> None:
        self._descriptions = descriptions

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Returns None: the import system creates the module."""
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """Adds the functions and exceptions to a module."""
        module.__doc__ = "The functions that the embedder offers to this program."
        descriptions, self._descriptions = self._descriptions, []
        self.update(module, descriptions)
        for kind in (tool_calls.Error, tool_calls.LimitError):
            kind.__module__ = module.__name__
            setattr(module, kind.__name__, kind)
        _imported[module.__name__] = module, self

    def update(self, module: types.ModuleType, descriptions: list[Any]) -> None:
        """Adds the functions of `descriptions` that the module does not have as they are there."""
        for description in descriptions:
            if description not in self._descriptions:
                setattr(module, description.name, _function(module.__name__, description))
        self._descriptions = descriptions
        module.__all__ = [each.name for each in descriptions]  # type: ignore[attr-defined]


def _function(module: str, description: Any) -> types.FunctionType:
    """Returns a function of the module."""
    name = description.name
    is_plain = description.kind is interfaces().functions.Kind.PLAIN

    def start(*args: Any, **kwargs: Any) -> tool_calls.StartedCall:
        """Begin a call at once, and return an awaitable for its result."""
        return tool_calls.StartedCall(f"{module}.{name}", tool_calls.begin(name, args, kwargs))

    def wait(*args: Any, **kwargs: Any) -> Any:
        """Make a call and wait for its result, also where an event loop runs."""
        return tool_calls.invoke(name, args, kwargs)

    def plain(*args: Any, **kwargs: Any) -> Any:
        return tool_calls.invoke(name, args, kwargs)

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        return await tool_calls.async_result(tool_calls.begin(name, args, kwargs))

    function: Any = plain if is_plain else asynchronous
    signature = _signature(description.signature)
    forms: list[tuple[Any, str]] = [(function, name), (start, "start"), (wait, "wait")]
    for each, last_name in forms:
        each.__module__ = module
        each.__name__ = last_name
        each.__qualname__ = name if each is function else f"{name}.{last_name}"
        each.__signature__ = signature
    function.__doc__ = description.documentation or None
    function.start = start
    function.wait = wait
    checked: types.FunctionType = function
    return checked


def _signature(text: str) -> inspect.Signature:
    """Returns the signature that `text` describes, such as `(q: str, limit=10) -> list`.

    Only for readers: the embedder's function decides which arguments it takes.
    """
    try:
        [definition] = ast.parse(f"def f{text}: pass").body
        assert isinstance(definition, ast.FunctionDef)
        return _from_definition(definition)
    except (SyntaxError, ValueError, AssertionError):
        return inspect.Signature(
            [
                inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
                inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
            ]
        )


def _from_definition(definition: ast.FunctionDef) -> inspect.Signature:
    arguments = definition.args
    parameters = []

    def add(argument: ast.arg | None, kind: Any, default: ast.expr | None) -> None:
        if argument is not None:
            parameters.append(
                inspect.Parameter(
                    argument.arg,
                    kind,
                    default=inspect.Parameter.empty if default is None else _Source(default),
                    annotation=_annotation(argument.annotation, inspect.Parameter.empty),
                )
            )

    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    defaults: list[ast.expr | None] = [*[None] * required, *arguments.defaults]
    for position, argument in enumerate(positional):
        is_only = position < len(arguments.posonlyargs)
        kind = (
            inspect.Parameter.POSITIONAL_ONLY
            if is_only
            else inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        add(argument, kind, defaults[position])
    add(arguments.vararg, inspect.Parameter.VAR_POSITIONAL, None)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        add(argument, inspect.Parameter.KEYWORD_ONLY, default)
    add(arguments.kwarg, inspect.Parameter.VAR_KEYWORD, None)
    returns = _annotation(definition.returns, inspect.Signature.empty)
    return inspect.Signature(parameters, return_annotation=returns)


def _annotation(expression: ast.expr | None, empty: Any) -> Any:
    return empty if expression is None else _Source(expression)


class _Source:
    """An expression of a signature, which is shown and never evaluated."""

    def __init__(self, expression: ast.expr) -> None:
        self._text = ast.unparse(expression)

    def __repr__(self) -> str:
        return self._text
