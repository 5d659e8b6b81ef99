"""The docstrings in the stub, which editors show, are those of the compiled classes.

``ERYX_WRITE_STUB=1`` has the test write them instead.
"""

from __future__ import annotations

import ast
import inspect
import os
import pathlib
import textwrap

import pytest

from eryx import _eryx

STUB = pathlib.Path(__file__).parents[1] / "python/eryx/_eryx.pyi"


def test_the_stub_has_the_docstrings_of_the_compiled_classes():
    found = STUB.read_text()
    expected = with_docstrings(found)
    if os.environ.get("ERYX_WRITE_STUB"):
        STUB.write_text(expected)
        pytest.skip("the stub was written")
    assert found == expected, "run this test with ERYX_WRITE_STUB=1"


def with_docstrings(stub: str) -> str:
    """Return the text of ``stub`` with the docstrings of the classes, methods and properties."""
    lines = stub.splitlines()
    # The properties in this block have theirs from the table of settings.
    generated = range(
        next(at for at, line in enumerate(lines) if "generated: properties" in line),
        next(at for at, line in enumerate(lines) if "end of properties" in line),
    )
    definitions = []
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ClassDef):
            definitions.append((node, getattr(_eryx, node.name)))
            definitions += [
                (member, getattr(definitions[-1][1], member.name))
                for member in node.body
                if isinstance(member, ast.FunctionDef)
                and not member.name.startswith("_")
                and member.lineno not in generated
            ]
    # From the last to the first, so that the numbers of earlier lines stay right.
    for node, value in sorted(definitions, key=lambda pair: -pair[0].lineno):
        text = inspect.getdoc(value)
        assert text, node.name
        insert(lines, node, text)
    return "\n".join(lines) + "\n"


def insert(lines: list[str], node: ast.ClassDef | ast.FunctionDef, text: str) -> None:
    """Give ``node`` the docstring ``text``, in place of its docstring or its ellipsis."""
    first = node.body[0]
    assert first.end_lineno is not None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        start, end = first.lineno - 1, first.end_lineno
        head = lines[start][: first.col_offset].rstrip()
        before = [head] if head else []
    else:
        start = end = first.lineno - 1 - len(getattr(first, "decorator_list", ()))
        before = []
    indent = " " * (node.col_offset + 4)
    lines[start:end] = [*before, *textwrap.indent(literal(text, indent), indent).splitlines()]


def literal(text: str, indent: str) -> str:
    """Return ``text`` as a docstring in lines of at most 100 characters."""
    prefix, quotes = "", '"""'
    if quotes in text:
        text = text.replace("\\", "\\\\").replace(quotes, '\\"\\"\\"')
    elif "\\" in text:
        prefix = "r"
    first, *rest = text.split("\n")
    length = len(indent + prefix + quotes + first) + (0 if rest else len(quotes))
    begin = "\n" if length > 100 else ""
    end = "\n" if rest or begin or text.endswith('"') else ""
    return f"{prefix}{quotes}{begin}{text}{end}{quotes}"
