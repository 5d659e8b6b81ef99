"""The value of a program: that of its last statement, if that is an expression."""

import ast
import base64
import re
import traceback
from collections.abc import Callable
from functools import partial
from inspect import CO_COROUTINE
from types import CodeType
from typing import Any

import wit_world
from componentize_py_types import Err, Ok

from eryx_guest import json_values
from eryx_guest.stdlib_patches import INTERNAL

# The global that has the value until it is stored. No program can write this as a name.
_NAME = ".value"

# The methods that return a representation of an object, and its media type (the conventions of
# IPython's display protocol).
_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_pdf_", "application/pdf"),
    ("_repr_latex_", "text/latex"),
    ("_repr_javascript_", "application/javascript"),
    ("_repr_json_", "application/json"),
)

# What IPython asks an object for first: one that has it claims to have any attribute.
_CANARY = "_ipython_canary_method_should_not_exist_"

# The media types whose data are bytes. In a bundle of media types they may be text, in Base64.
_BINARY = {"image/png", "image/jpeg", "application/pdf"}

_STORE = ast.Store()

# The most representations of a value, and the most characters of a media type.
_MAX_REPRESENTATIONS = 16
_MAX_MEDIA_TYPE = 127

# The most characters of the reason why there is no JSON.
_MAX_REASON = 1000

# The outcome of a program that ran to its end. Made once, as every program needs it.
FINISHED = wit_world.Outcome_Finished()

_PLAIN = {type(None), bool, int, float, str, bytes, list, tuple, dict}

# The stored value as JSON, or the reason why there is none.
_json: bytes | Err[str] | None = None
_representations: list[wit_world.Representation] = []


def take(outcome: wit_world.Outcome) -> wit_world.Evaluation:
    """Returns the stored value of a program, which had this outcome, and forgets it."""
    global _json, _representations
    json, representations = _json, _representations
    _json = None
    if type(json) is bytes and not representations and outcome is FINISHED:
        return wit_world.Evaluation_Json(json)
    _representations = []
    if json is None:
        json = Err("the program did not run to its end")
    return wit_world.Evaluation_Other(
        wit_world.OutcomeWithValue(
            outcome, json if isinstance(json, Err) else Ok(json), representations
        )
    )


def compile_program(source: bytes, name: str) -> tuple[CodeType, CodeType | None]:
    """Returns the code of a program that also assigns its value, for `pop`.

    If there is a second one, it is that of the last expression, whose value is the program's.
    """
    return _compile_apart(source, name) or (_compile_together(source, name), None)


def pop(namespace: dict[str, Any]) -> object:
    """Returns the value that a program has assigned, and removes it."""
    return namespace.pop(_NAME, None)


def _compile_together(source: bytes, name: str) -> CodeType:
    module: ast.Module = _compile(source, name, "exec", ast.PyCF_ONLY_AST)
    if module.body and isinstance(last := module.body[-1], ast.Expr):
        location = {name: getattr(last, name) for name in last._attributes}
        target = ast.Name(_NAME, _STORE, **location)
        module.body[-1] = ast.Assign([target], last.value, **location)
    code: CodeType = _compile(module, name, "exec")
    return code


def _compile_apart(source: bytes, name: str) -> tuple[CodeType, CodeType] | None:
    """Compiles the last expression apart, without the syntax tree, which takes half the time.

    Returns None unless it is certain that the program ends with an expression, on one line.
    """
    text = source.rstrip(b" \t\n")
    start = text.rfind(b"\n") + 1
    line = text[start:]
    if line[:1].isspace() or _NEEDS_THE_WHOLE(source):
        return None
    before = text[:start]
    lines = b"\n" * text.count(b"\n", 0, start)
    if b";" in line:
        # What is before the last semicolon of a program of one line ends there if it compiles:
        # there is no comment, and no compound statement, which would have a colon.
        semicolon = line.rfind(b";")
        before = line[:semicolon].rstrip()
        expression = line[semicolon + 1 :]
        if (
            start
            or not before
            or before.endswith(b";")
            or not expression.strip()
            or _MAY_GO_ON(line)
            or b")" in expression
        ):
            return None
        # Parentheses keep the columns of tracebacks. The expression closes none itself.
        line = b"(" + b" " * semicolon + expression + b")"
    try:
        last = _compile(lines + line, name, "eval")
        code = _compile(before, name, "exec")
    except (SyntaxError, ValueError):
        # The errors of the whole program have the right places.
        return None
    if (code.co_flags | last.co_flags) & CO_COROUTINE:
        # Both have to run in one event loop.
        return None
    return code, last


# Carriage returns, form feeds, backslashes, declared encodings and byte order marks change where
# lines end, or warn of escapes in the order of the lines. What the others do applies to all lines.
_NEEDS_THE_WHOLE = re.compile(rb"[\r\f\\]|coding|\A\xef\xbb\xbf|__future__|await|async").search

# After a semicolon, `for` makes a generator of an expression in parentheses, and the places of a
# tuple with `*` are those of the parentheses.
_MAY_GO_ON = re.compile(rb"[#:*]|for").search


def _compile(source: Any, name: str, mode: str, flags: int = 0) -> Any:
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(source, name, mode, flags=flags, dont_inherit=True)


def store(value: object, max_bytes: int) -> None:
    """Stores the value of a program in the forms that the host takes.

    They have at most `max_bytes` together.
    """
    global _json, _representations
    try:
        _json = json_values.encode(value, max_bytes)
    except (TypeError, ValueError) as error:
        _json = Err(str(error).encode("utf-8", "backslashreplace").decode()[:_MAX_REASON])
    else:
        # Objects of these types have no methods that represent them.
        if type(value) in _PLAIN:
            return
        max_bytes -= len(_json)
    _representations = _represent(value, max_bytes)


def _represent(value: Any, max_bytes: int) -> list[wit_world.Representation]:
    bundle = _bundle(value)
    if bundle or isinstance(_json, Err):
        bundle.setdefault("text/plain", _call(partial(repr, value)))
    representations = []
    for media_type, data in list(bundle.items())[:_MAX_REPRESENTATIONS]:
        encoded = _call(partial(_data, media_type, data))
        if encoded is None or len(media_type) > _MAX_MEDIA_TYPE:
            continue
        max_bytes -= len(encoded)
        if max_bytes < 0:
            traceback.print_exception(
                ValueError(f"the representation {media_type} of the value is too large")
            )
            break
        representations.append(wit_world.Representation(media_type, encoded))
    return representations


def _bundle(value: Any) -> dict[str, Any]:
    """Returns the representations that the methods of an object give, by media type."""
    if issubclass(type(value), type) or _attribute(value, _CANARY) is not None:
        # The methods are those of its instances, or it has no such methods of its own.
        return {}
    bundle: dict[str, Any] = {}
    method = _attribute(value, "_repr_mimebundle_")
    if callable(method):
        result = _call(partial(method, include=None, exclude=None))
        if isinstance(result, tuple) and result:
            # The second item has the metadata.
            result = result[0]
        if isinstance(result, dict):
            # A media type is ASCII. The contract's strings have no surrogates.
            bundle.update(
                (str.__str__(key), item)
                for key, item in result.items()
                if isinstance(key, str) and str.isascii(key)
            )
    for name, media_type in _METHODS:
        method = _attribute(value, name)
        if media_type in bundle or not callable(method):
            continue
        result = _call(method)
        if isinstance(result, tuple) and result:
            result = result[0]
        if result is not None:
            bundle[media_type] = result
    return bundle


def _attribute(value: Any, name: str) -> Any:
    """Returns an attribute of an object of the program, and `None` if it raises an exception."""
    try:
        return getattr(value, name, None)
    except Exception:
        # As IPython does: `__getattr__` may know no AttributeError.
        return None


def _call(function: Callable[[], Any]) -> Any:
    """Returns the result of a method of the program, whose exception is only printed."""
    try:
        return function()
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(INTERNAL):
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
        return None


def _data(media_type: str, data: Any) -> bytes | None:
    """Returns a representation as bytes."""
    if data is None:
        return None
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    if isinstance(data, str):
        if media_type in _BINARY:
            return base64.b64decode(data)
        # A subclass may have an `encode` of its own.
        return str.encode(data, "utf-8", "backslashreplace")
    return json_values.encode(data, json_values.MAX_BYTES, f"the representation {media_type}")
