"""Changes to modules of the standard library."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path

import pytest

from eryx_guest import stdlib_patches


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch):
    """`patched(name)` returns a new module of the library with the changes."""

    def load(name: str):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        stdlib_patches.patch(module)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return load


def call_from_image(function):
    """Calls a function from one that a module of the image defines."""
    path = Path(stdlib_patches.__file__).parent / "example.py"
    namespace: dict = {}
    exec(compile("def call(function): return function()", path, "exec"), namespace)
    return namespace["call"](function)


def missing():
    """Raises an exception in this file."""
    return 1 / 0


def test_tracebacks_leave_out_the_frames_of_the_image(patched):
    module = patched("traceback")
    try:
        call_from_image(missing)
    except ZeroDivisionError as caught:
        error = caught
    own = ["test_tracebacks_leave_out_the_frames_of_the_image", "call_from_image", "missing"]
    assert len(traceback.extract_tb(error.__traceback__)) == 4
    assert [each.name for each in module.extract_tb(error.__traceback__)] == own
    assert [frame.f_code.co_name for frame, _ in module.walk_tb(error.__traceback__)] == own
    assert [each.name for each in module.TracebackException.from_exception(error).stack] == own
    assert "example.py" not in "".join(module.format_exception(error))


def test_stacks_leave_out_the_frames_of_the_image(patched):
    module = patched("traceback")
    for stack in (
        call_from_image(lambda: module.extract_stack()),
        call_from_image(lambda: module.StackSummary.extract(module.walk_stack(None))[::-1]),
    ):
        assert [each.name for each in stack[-2:]] == ["call_from_image", "<lambda>"]


def test_a_traceback_of_frames_of_the_image_alone_keeps_them(patched):
    module = patched("traceback")
    try:
        call_from_image(missing)
    except ZeroDivisionError as caught:
        trace = caught.__traceback__.tb_next
        trace.tb_next.tb_next = None
    assert [each.name for each in module.extract_tb(trace)] == ["call_from_image"]
    assert [each.name for each in module.extract_tb(trace.tb_next)] == ["call"]


def test_the_source_of_a_class_is_that_of_the_program_with_its_methods(patched, monkeypatch):
    module = patched("inspect")
    main = type(os)("__main__")
    main.__file__ = "<script 2>"
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec(compile("class Early:\n    def method(self): pass", "<script>", "exec"), vars(main))
    exec(compile("class Late: pass", "<script 2>", "exec"), vars(main))
    assert module.getfile(main.Early) == "<script>"
    assert module.getfile(main.Late) == "<script 2>"
