"""Runs one program after the other in `__main__` and reports how each ended."""

import ast
import asyncio
import importlib.util
import inspect
import io
import linecache
import os
import sys
import traceback
import types
from collections.abc import Coroutine
from types import CodeType, TracebackType
from typing import Any, NamedTuple

import wit_world

from eryx_guest import heap, output, random_generators, warmup

# The host copies what is reported: a program must not choose how much.
MAX_MESSAGE = 16 * 1024
MAX_TRACEBACK = 64 * 1024

# How much source is kept for tracebacks, in characters: a session may run many programs. A short
# one counts for what keeping it takes.
MAX_SOURCES = 1 << 20
MIN_SOURCE = 1 << 10

# Where the image's own modules and the generated bindings come from.
_OURS = (os.path.dirname(os.path.dirname(__file__)) + "/", "/world/", "/bundled/")

# As often as it takes the interpreter to specialise code and be sure of it.
_WARM_UP = 20

# No program makes it anew.
_FIRST = sys.intern("<script>")

# What programs do, as one of them would.
_WARMUP_PROGRAM = f"await __import__('sys').modules[{warmup.__name__!r}].work()".encode()

_INDESCRIBABLE = "the program's exception cannot be described"


class _Program(NamedTuple):
    """A program that ran, and may run again."""

    name: str
    code: CodeType
    # What keeping it takes, in characters of source.
    size: int


_main = types.ModuleType("__main__")
_programs: dict[bytes, _Program] = {}
_programs_size = 0
_runs = 0
_loop: asyncio.AbstractEventLoop | None = None


def prepare(world: wit_world.WitWorld) -> None:
    """Bring the interpreter into the state every program starts from, as the image's last step."""
    global _programs
    sys.modules["__main__"] = _main
    _main.__dict__["__builtins__"] = sys.modules["builtins"]
    # The directories and the environment of the build are not there at run time.
    os.environ.clear()
    sys.path.clear()
    sys.path_importer_cache.clear()
    output.install()
    sys.stdout = sys.__stdout__ = output.open_stdout()  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = output.open_stderr()  # type: ignore[misc]
    _warm_up(world)
    heap.settle()
    # What every program adds to comes last, next to what it makes.
    sys.argv = []
    linecache.cache = {}
    _programs = {}
    heap.settle()


def _warm_up(world: wit_world.WitWorld) -> None:
    """Run what programs run until the interpreter has fitted its code to it (PEP 659)."""
    global _runs
    # The host has no randomness to give while the image is built.
    for _ in range(_WARM_UP):
        random_generators.seed_the_same()
        _runs = 1
        # Compiled, then known.
        for source in (b"pass", b"pass", _WARMUP_PROGRAM):
            outcome = world.execute(source)
            if not isinstance(outcome, wit_world.Outcome_Finished):
                raise RuntimeError(f"the image cannot run {source!r}: {outcome}")
        _forget(b"pass")
        _forget(_WARMUP_PROGRAM)
        _close_loop()
    warmup.forget()
    _runs = 0


def _close_loop() -> None:
    global _loop
    if _loop is not None:
        _loop.close()
        _loop = None
        asyncio.set_event_loop(None)


def set_up(source: bytes) -> None:
    """Run a program that a snapshot starts from. Raises what it raises."""
    _start(source, "<setup>")


def execute(source: bytes) -> wit_world.Outcome:
    """Run `source` in `__main__`. Never raises: what leaves an export aborts the instance."""
    global _runs
    _runs += 1
    if _runs == 1:
        # Their state came with the image; it would be the same in every sandbox.
        random_generators.seed()
    name = _FIRST if _runs == 1 else f"<script {_runs}>"
    try:
        outcome = _run(source, name)
    except BaseException:
        # A program may leave nothing intact that a better description would need, `len` included.
        outcome = wit_world.Outcome_Exception(
            wit_world.PythonException(
                "BaseException", _INDESCRIBABLE, "BaseException: " + _INDESCRIBABLE + "\n"
            )
        )
    try:
        flush()
    except BaseException:
        return outcome
    return outcome


def _run(source: bytes, name: str) -> wit_world.Outcome:
    try:
        _start(source, name)
    except SystemExit as error:
        return wit_world.Outcome_Exited(_exit_status(error))
    except BaseException as error:
        return wit_world.Outcome_Exception(describe(error))
    return wit_world.Outcome_Finished()


def _start(source: bytes, name: str) -> None:
    if not sys.argv:
        # The bindings replace the list by the component's arguments, and there are none.
        sys.argv = [""]
    code = _code(source, name)
    if code.co_flags & inspect.CO_COROUTINE:
        _run_async(eval(code, _main.__dict__))
    else:
        exec(code, _main.__dict__)


def _code(source: bytes, name: str) -> CodeType:
    """What to run. A program that has run before is known by the name it had then."""
    program = _programs.pop(source, None)
    if program is None:
        program = _compile(source, name)
    # The last is the one that ran last.
    _programs[source] = program
    return program.code


def _compile(source: bytes, name: str) -> _Program:
    global _programs_size
    code: CodeType = compile(
        source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    # Tracebacks show source lines, which nothing could read from a file.
    text = _text(source)
    linecache.cache[name] = (len(text), None, io.StringIO(text).readlines(), name)
    program = _Program(name, code, max(len(text), MIN_SOURCE))
    _programs_size += program.size
    while _programs and _programs_size > MAX_SOURCES:
        _forget(next(iter(_programs)))
    return program


def _forget(source: bytes) -> None:
    global _programs_size
    program = _programs.pop(source)
    _programs_size -= program.size
    linecache.cache.pop(program.name, None)


def _text(source: bytes) -> str:
    # Another encoding is declared by a comment with this word, or by a mark; see PEP 263.
    if b"coding" in source or b"\r" in source or source.startswith(b"\xef\xbb\xbf"):
        return importlib.util.decode_source(source)
    return source.decode()


def _run_async(program: Coroutine[Any, Any, None]) -> None:
    global _loop
    # One loop for all programs of a session: connections opened by one belong to the next as well.
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_loop)
    task = _loop.create_task(program, name=_FIRST)
    try:
        _loop.run_until_complete(task)
    finally:
        if not task.done():
            # Another task ended the loop. This program must not go on inside the next one.
            task.cancel()
            _loop.run_until_complete(asyncio.gather(task, return_exceptions=True))


def _exit_status(error: SystemExit) -> int:
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        # As a process would report it.
        return code & 0xFF if -(2**31) <= code < 2**31 else 0xFF
    print(code, file=sys.stderr)
    return 1


def flush() -> None:
    """Hand on what was printed, whatever the program made of the streams."""
    try:
        streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    except AttributeError:
        # Nothing that was printed is lost by that: the host has it.
        return
    for stream in streams:
        try:
            stream.flush()  # type: ignore[union-attr]
        except BaseException:
            # The program replaced or closed it. Nothing it printed elsewhere is lost by that.
            continue


def describe(error: BaseException) -> wit_world.PythonException:
    """What the host is told of an exception, whatever the exception's own methods do."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except BaseException:
        message = "<exception str() failed>"
    try:
        told = traceback.TracebackException(
            kind, error, _program_frames(error.__traceback__), compact=True
        )
        _leave_out_ours(told)
        text = "".join(told.format())
    except BaseException:
        text = f"{name}: {message}\n"
    return wit_world.PythonException(
        _clip(name, 256), _clip(message, MAX_MESSAGE), _clip(text, MAX_TRACEBACK)
    )


def _program_frames(trace: TracebackType | None) -> TracebackType | None:
    """`trace` from the program's own first frame on; ours tell its author nothing."""
    frame = trace
    while frame is not None and not _is_program(frame):
        frame = frame.tb_next
    return frame


def _leave_out_ours(told: traceback.TracebackException) -> None:
    """Take the frames of the image's own modules out: where they are in Python, CPython is in C."""
    pending = [told]
    seen = set()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
        pending.extend(linked for linked in (one.__cause__, one.__context__) if linked is not None)
        pending.extend(one.exceptions or ())


def _is_program(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(("<script", "<setup"))


def _clip(text: str, limit: int) -> str:
    # A subclass of `str` may have methods of its own; surrogates cannot be lowered.
    text = str.__str__(text).encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
