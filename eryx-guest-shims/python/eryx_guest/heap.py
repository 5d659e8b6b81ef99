"""The heap as a snapshot is taken of it.

Every sandbox starts from the same pages and copies those it writes to: the fewer and the closer
together, the sooner it runs, and the less do sandboxes disturb each other. So what programs write
to lies at the end, and everything else is made such that they only read it.
"""

import gc
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import cast

import _eryx_heap


def gather(train: Callable[[], None]) -> None:
    """Everything there is belongs to the image. What is made from now on lies behind it, and so
    does the code that `train` runs: the interpreter notes in it how often it ran and with what."""
    functions = [one for one in gc.get_objects() if type(one) is FunctionType]
    before = [one.__code__._co_code_adaptive for one in functions]  # type: ignore[attr-defined]
    train()
    ran = [
        one
        for one, code in zip(functions, before, strict=True)
        if one.__code__._co_code_adaptive != code  # type: ignore[attr-defined]
    ]
    del functions, before
    for function in ran:
        _read(function.__code__)
    settle()
    for function in ran:
        function.__code__ = _moved(function.__code__)


def settle() -> None:
    """Ready the heap for a snapshot: what there is belongs to the image, and what comes lies
    behind it."""
    # It has names of attributes that are nowhere else.
    sys._clear_type_cache()
    gc.collect()
    _eryx_heap.immortalize(_everything())
    # Again, for what the interpreter keeps to use again lies all over the heap; and this takes from
    # the collector what lives for ever.
    gc.collect()
    gc.freeze()
    _eryx_heap.fill_free_chunks()


def _everything() -> list[object]:
    """All objects that can be found. No code of theirs runs: a proxy's `__class__`, which
    `isinstance` asks for, may raise or import what it stands for."""
    pending = gc.get_objects()
    found: dict[int, object] = {}
    while pending:
        one = pending.pop()
        if id(one) in found or one is pending or one is found:
            continue
        found[id(one)] = one
        pending.extend(gc.get_referents(one))
        kind = type(one)
        if issubclass(kind, str):
            # A string notes its hash when it is first asked for it.
            str.__hash__(one)
        elif kind is CodeType:
            # The collector does not look into these.
            code = cast(CodeType, one)
            pending += (code.co_consts, code.co_names, code.co_filename, code.co_name)
            pending += (code.co_qualname, code.co_linetable, code.co_exceptiontable)
    return list(found.values())


def _inner(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _read(code: CodeType) -> None:
    """Have the code made that `_moved` starts from: it stays with the old one."""
    _ = code.co_code
    for one in _inner(code):
        _read(one)


def _moved(code: CodeType) -> CodeType:
    """The same, in another place."""
    if not _inner(code):
        return code.replace()
    constants = (_moved(one) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_consts=tuple(constants))
