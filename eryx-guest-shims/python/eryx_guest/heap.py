"""Prepares the heap for a snapshot, so that sandboxes write to few of its pages.

All sandboxes share the pages of the snapshot and copy those they write to. The fewer these are, and
the closer together, the faster a sandbox starts and the less sandboxes slow down each other. So the
objects that programs write to are placed together at the end of the heap, and all other objects are
made immortal, with lazily computed fields filled in, so that programs only read them.
"""

import gc
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import cast

import _eryx_heap
import _eryx_native


def warm_up_and_compact(warm_up: Callable[[], None]) -> None:
    """Runs `warm_up`, prepares a snapshot, and copies the code objects that ran behind it.

    The interpreter writes to code objects that run: it counts executions and specialises the code
    (PEP 659). The copies are adjacent to each other and to the objects of programs.
    """
    functions = [each for each in gc.get_objects() if type(each) is FunctionType]
    before = [each.__code__._co_code_adaptive for each in functions]  # type: ignore[attr-defined]
    warm_up()
    ran = [
        function
        for function, code in zip(functions, before, strict=True)
        if function.__code__._co_code_adaptive != code  # type: ignore[attr-defined]
    ]
    del functions, before
    for function in ran:
        _materialize(function.__code__)
    prepare_snapshot()
    for function in ran:
        function.__code__ = _copied(function.__code__)


def prepare_snapshot() -> None:
    """Makes all objects immortal, and places later objects behind them.

    Call this before a snapshot.
    """
    gc.collect()
    prepare_snapshot_with_garbage(lambda objects: None)


def prepare_snapshot_with_garbage(inspect: Callable[[list[object]], None]) -> None:
    """Does what `prepare_snapshot` does, and runs no code of the objects.

    Garbage stays, as its finalizers are code. Calls `inspect` with all objects.
    """
    # The type cache may hold the only reference to the name of an attribute.
    sys._clear_type_cache()
    _immortalize(inspect)
    # This empties the interpreter's free lists, which are scattered over the heap, and takes
    # immortal objects from the garbage collector. They are no garbage any more.
    gc.collect()
    gc.freeze()
    _eryx_heap.fill_free_chunks()
    _eryx_native.start_object_pools()


def _immortalize(inspect: Callable[[list[object]], None]) -> None:
    """Makes all objects immortal.

    The memory of their list would otherwise remain between the objects of the snapshot and those of
    programs, so that it is freed here.
    """
    objects = _all_objects()
    inspect(objects)
    _eryx_heap.immortalize(objects)
    # It is immortal itself.
    objects.clear()


def _all_objects() -> list[object]:
    """Returns all objects that can be found.

    Never runs code of an object: `isinstance` reads `__class__`, which on a proxy may raise, or
    import the module it stands for.
    """
    pending = gc.get_objects()
    found: dict[int, object] = {}
    while pending:
        current = pending.pop()
        if id(current) in found or current is pending or current is found:
            continue
        found[id(current)] = current
        pending.extend(gc.get_referents(current))
        kind = type(current)
        if issubclass(kind, str):
            # A string stores its hash at the first call.
            str.__hash__(current)
        elif kind is CodeType:
            # The garbage collector does not traverse code objects.
            code = cast(CodeType, current)
            pending += (code.co_consts, code.co_names, code.co_filename, code.co_name)
            pending += (code.co_qualname, code.co_linetable, code.co_exceptiontable)
    return list(found.values())


def _inner(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _materialize(code: CodeType) -> None:
    """Creates the bytecode object that `_copied` reads, which the code object caches."""
    _ = code.co_code
    for inner in _inner(code):
        _materialize(inner)


def _copied(code: CodeType) -> CodeType:
    """Returns a copy of a code object and its inner code objects."""
    if not _inner(code):
        return code.replace()
    constants = (_copied(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_consts=tuple(constants))
