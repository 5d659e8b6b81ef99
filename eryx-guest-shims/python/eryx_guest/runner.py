"""Runs programs one after another in `__main__` and reports their outcomes."""

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
import unicodedata
from collections.abc import Coroutine
from contextvars import Context, copy_context
from types import CodeType, TracebackType
from typing import Any, NamedTuple

import _eryx_working_directory
import wit_world
from componentize_py_types import Err

from eryx_guest import (
    end_of_program,
    fork,
    heap,
    json_values,
    last_value,
    local_time,
    output,
    processes,
    random_generators,
    stdin,
    warmup,
)
from eryx_guest.stdlib_patches import INTERNAL
from eryx_guest.threads import scheduler

# Limits of a report in characters: the host copies it, so a program must not choose its size.
MAX_MESSAGE = 16 * 1024
MAX_TRACEBACK = 64 * 1024

# The capacity of the cache of programs in characters of source, and the least that a program counts
# for: an entry takes more memory than its source. A session may run many programs.
MAX_SOURCES = 1 << 20
MIN_SOURCE = 1 << 10

# The home directory of programs, which is their working directory too. Modules in it can be
# imported, if neither the standard library nor a package has them: it is the last entry of
# `sys.path`.
HOME = "/home/user"

# The executions after which the interpreter has specialised code for good.
_WARM_UP_ROUNDS = 20

# The file name of the first program. Interned here, so that no program creates it.
_FIRST_NAME = sys.intern("<script>")

# A program that runs the warm-up workload.
_WARMUP_PROGRAM = f"await __import__('sys').modules[{warmup.__name__!r}].work()".encode()

# The hook of uncaught exceptions that the host replaces by its report.
_STOCK_EXCEPTHOOK = sys.excepthook

# A program may replace those of `builtins`.
_eval = eval
_exec = exec

_INDESCRIBABLE = "the program's exception cannot be described"


class _Program(NamedTuple):
    """A cached program."""

    name: str
    code: CodeType
    # Its last expression, if that is compiled apart.
    last: CodeType | None
    # Its share of `MAX_SOURCES`.
    size: int


_main = types.ModuleType("__main__")
# Modified in place: modules of the snapshot refer to the object.
_environ = os.environ
_programs: dict[bytes, _Program] = {}
_programs_size = 0
_runs = 0
_loop: asyncio.AbstractEventLoop | None = None
# Whether a program has started a thread. Here, on a page that every program reads anyway.
_has_threads = False
# The most bytes of the program's value in all its forms, if the host wants it.
_max_value: int | None = None
# The `sys.argv` of the next program, if it gets a new one.
_arguments: list[str] | None = None


def freeze_start_state(world: wit_world.WitWorld) -> None:
    """Prepares the state that programs start from, as the last step of the build."""
    global _programs
    sys.modules["__main__"] = _main
    _main.__dict__["__builtins__"] = sys.modules["builtins"]
    # A sandbox has neither the directories nor the environment of the build.
    _environ.clear()
    sys.path.clear()
    # What a program imports from its own files would add files that it did not write.
    sys.dont_write_bytecode = True
    output.install()
    scheduler.on_activation(_note_threads)
    sys.stdout = sys.__stdout__ = output.open_stdout()  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = output.open_stderr()  # type: ignore[misc]
    end_of_program.freeze_start_state()
    _warm_up(world)
    stdin.reopen()
    # The first program stores the same object again, which writes nothing.
    _main.__dict__["__file__"] = _FIRST_NAME
    # After the warm-up: the machine of the build does not have the directory.
    _keep_home()
    sys.path.append(HOME)
    sys.path_importer_cache.clear()
    _eryx_working_directory.set(HOME.encode())
    random_generators.forget_explicit_seeds()
    processes.forget_id()
    heap.prepare_snapshot()
    # Every program modifies these objects. Created last, they are next to the program's own.
    sys.argv = []
    linecache.cache = {}
    _programs = {}
    heap.prepare_snapshot()


def _warm_up(world: wit_world.WitWorld) -> None:
    """Runs programs until the interpreter has specialised its code for them (PEP 659)."""
    global _runs
    for _ in range(_WARM_UP_ROUNDS):
        # Instead of the seeds that a first program gets from the host.
        random_generators.seed_all_with_zeros()
        _runs = 1
        world.prepare(wit_world.StartState([("A", "b")], [""], b'{"x": [{"$bytes": ""}]}', False))
        # The second time from the cache.
        for source in (b"pass", b"pass", _WARMUP_PROGRAM):
            outcome = world.execute(source)
            if not isinstance(outcome, wit_world.Outcome_Finished):
                raise RuntimeError(f"the image cannot run {source!r}: {outcome}")
        for source in (b"x", b"x", b"[{'a': 1}]", b"object()"):
            world.evaluate(source, 1000)
        _main.__dict__.pop("x")
        world.exit(0)
        _environ.clear()
        for source in list(_programs):
            _evict(source)
        _close_loop()
    warmup.reset()
    _runs = 0


def _note_threads() -> None:
    global _has_threads
    _has_threads = True


def _close_loop() -> None:
    global _loop
    if _loop is not None:
        _loop.close()
        _loop = None
        asyncio.set_event_loop(None)


def _keep_home() -> None:
    """Sets HOME in the snapshot.

    Pitfall: at the end of the build, componentize-py removes each of `os.environ.keys()`. To set
    the variable when a program starts would cost each sandbox 7 page faults.
    """
    _environ["HOME"] = HOME

    def no_keys() -> list[str]:
        # Called once: from then on, `keys` is that of the class.
        del _environ.__dict__["keys"]
        return []

    _environ.__dict__["keys"] = no_keys


def run_setup(source: bytes) -> None:
    """Runs the set-up code of a factory. Raises its exceptions."""
    _exec_source(source, "<setup>")


def prepare(start: wit_world.StartState) -> None:
    """Prepares the start of the next program: see the WIT."""
    global _arguments
    try:
        # First: a program whose inputs are refused leaves nothing to the next one.
        inputs = None if start.inputs is None else _variables(json_values.decode(start.inputs))
        _environ.update(start.environment)
        if any(name == "TZ" for name, _ in start.environment):
            local_time.tzset()
        _arguments = start.arguments
        if start.opens_stdin:
            stdin.reopen()
        if inputs is not None:
            _main.__dict__.update(inputs)
    except BaseException as error:
        # An exception of another type would abort the instance.
        raise Err(describe_exception(error)) from None


def _variables(inputs: dict[str, Any]) -> dict[str, Any]:
    """Returns inputs by the names that a source which has them looks for: those in NFKC (PEP 3131).

    With U+00B5, the micro sign of keyboards, the source has the Greek letter U+03BC.
    """
    if "".join(inputs).isascii():
        return inputs
    return {unicodedata.normalize("NFKC", name): value for name, value in inputs.items()}


def execute(source: bytes) -> wit_world.Outcome:
    """Runs `source` in `__main__`.

    Never raises: an exception would abort the instance.
    """
    global _runs
    _runs += 1
    if _runs == 1:
        # Their state is part of the snapshot and would be the same in every sandbox.
        random_generators.seed_all()
    if fork.callbacks_due:
        fork.run_child_callbacks()
    name = _FIRST_NAME if _runs == 1 else f"<script {_runs}>"
    try:
        outcome = _execute(source, name)
    except BaseException:
        # A program may replace everything that a better description would use, even `len`.
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


def evaluate(source: bytes, max_value: int) -> wit_world.Evaluation:
    """Runs `source` as `execute` does, and returns its value: see the WIT."""
    global _max_value
    _max_value = max_value
    outcome = execute(source)
    _max_value = None
    return last_value.take(outcome)


def _execute(source: bytes, name: str) -> wit_world.Outcome:
    try:
        try:
            _exec_source(source, name)
        finally:
            if _has_threads:
                scheduler.run_to_end()
    except SystemExit as error:
        return wit_world.Outcome_Exited(_exit_status(error))
    except BaseException as error:
        if getattr(sys, "excepthook", None) is not _STOCK_EXCEPTHOOK:
            try:
                _call_excepthook(error)
            except SystemExit as exit:
                return wit_world.Outcome_Exited(_exit_status(exit))
        return wit_world.Outcome_Exception(describe_exception(error))
    return last_value.FINISHED


def _call_excepthook(error: BaseException) -> None:
    """Calls the `sys.excepthook` of the program. Raises its SystemExit."""
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        print("sys.excepthook is missing", file=sys.stderr)
        return
    trace = _program_frames(error.__traceback__)
    try:
        hook(type(error), error, trace)
    except SystemExit:
        raise
    except BaseException as failure:
        # As CPython does.
        print("Error in sys.excepthook:", file=sys.stderr)
        own = _program_frames(failure.__traceback__)
        traceback.print_exception(type(failure), failure, own)
        print("\nOriginal exception was:", file=sys.stderr)
        traceback.print_exception(type(error), error, trace)


def exit(open_files: int) -> None:
    """Ends the program that ran last: see the WIT. Never raises."""
    try:
        end_of_program.run(open_files, _main.__dict__)
        flush()
    except BaseException:
        # The program may have replaced anything that this uses.
        return


def _exec_source(source: bytes, name: str) -> None:
    global _arguments
    if _arguments is not None:
        sys.argv = _arguments
        _arguments = None
    elif not sys.argv:
        # The bindings replace the list by the arguments of the component, which has none.
        sys.argv = [""]
    program = _program(source, name)
    # The key of its source in `linecache`, where `inspect` looks for that of classes.
    _main.__dict__["__file__"] = program.name
    if program.code.co_flags & inspect.CO_COROUTINE:
        _run_async(_eval(program.code, _main.__dict__))
    else:
        _exec(program.code, _main.__dict__)
    if _max_value is not None:
        if program.last is not None:
            value = _eval(program.last, _main.__dict__)
        else:
            value = last_value.pop(_main.__dict__)
        last_value.store(value, _max_value)


def _program(source: bytes, name: str) -> _Program:
    """Returns a compiled program. A cached one keeps the name of its first run."""
    # No source has a NUL byte: the two codes of a source have different keys.
    key = source if _max_value is None else b"\0" + source
    program = _programs.pop(key, None)
    if program is None:
        program = _compile(source, name)
    # Inserted at the end: the cache is ordered by last use.
    _programs[key] = program
    return program


def _compile(source: bytes, name: str) -> _Program:
    global _programs_size
    last: CodeType | None = None
    if _max_value is None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code: CodeType = compile(source, name, "exec", flags=flags, dont_inherit=True)
    else:
        code, last = last_value.compile_program(source, name)
    # For the source lines of tracebacks, as there is no file to read them from.
    text = _decode(source)
    linecache.cache[name] = (len(text), None, io.StringIO(text).readlines(), name)
    program = _Program(name, code, last, max(len(text), MIN_SOURCE))
    _programs_size += program.size
    while _programs and _programs_size > MAX_SOURCES:
        _evict(next(iter(_programs)))
    return program


def _evict(key: bytes) -> None:
    global _programs_size
    program = _programs.pop(key)
    _programs_size -= program.size
    linecache.cache.pop(program.name, None)


def _decode(source: bytes) -> str:
    # A comment with this word, or a byte order mark, declares another encoding (PEP 263).
    if b"coding" in source or b"\r" in source or source.startswith(b"\xef\xbb\xbf"):
        return importlib.util.decode_source(source)
    return source.decode()


def _run_async(program: Coroutine[Any, Any, None]) -> None:
    global _loop
    # All programs of a session share one event loop, and so the connections they open.
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_loop)
    context = copy_context()
    task = _loop.create_task(program, name=_FIRST_NAME, context=context)
    try:
        _loop.run_until_complete(task)
    finally:
        if not task.done():
            # Another task stopped the loop. This program must not continue during the next one.
            task.cancel()
            _loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        _keep_context(context)


def _keep_context(context: Context) -> None:
    """Sets the variables that a program has set in `context`: they stay as without `await`."""
    current = copy_context()
    for variable, value in context.items():
        if current.get(variable, context) is not value:
            variable.set(value)


def _exit_status(error: SystemExit) -> int:
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        # A subclass may have operators of its own.
        number = int.__index__(code)
        # The exit status that a process would have.
        return number & 0xFF if -(2**31) <= number < 2**31 else 0xFF
    try:
        print(code, file=sys.stderr)
    except BaseException:
        # As CPython does: the program may have no `sys.stderr`, and the object no text.
        return 1
    return 1


def flush() -> None:
    """Flushes the output streams, whatever the program did to them."""
    try:
        streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    except AttributeError:
        # The program deleted one of them. No output is lost: the host already has it.
        return
    for stream in streams:
        try:
            stream.flush()  # type: ignore[union-attr]
        except BaseException:
            # The program replaced or closed the stream. The output of the others is not lost.
            continue


def describe_exception(error: BaseException) -> wit_world.PythonException:
    """Returns the report of an exception, whatever the exception's own methods do."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except BaseException:
        message = "<exception str() failed>"
    try:
        summary = traceback.TracebackException(
            kind, error, _program_frames(error.__traceback__), compact=True
        )
        _drop_internal_frames(summary)
        text = "".join(summary.format())
    except BaseException:
        text = f"{name}: {message}\n"
    return wit_world.PythonException(
        _truncate(name, 256), _truncate(message, MAX_MESSAGE), _truncate(text, MAX_TRACEBACK)
    )


def _program_frames(trace: TracebackType | None) -> TracebackType | None:
    """Returns the part of a traceback that starts at the first frame of the program."""
    frame = trace
    while frame is not None and not _is_program(frame):
        frame = frame.tb_next
    return frame


def _drop_internal_frames(summary: traceback.TracebackException) -> None:
    """Removes the frames of the image's own modules where a traceback has no others."""
    pending = [summary]
    seen = set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each.stack[:] = [frame for frame in each.stack if not frame.filename.startswith(INTERNAL)]
        pending.extend(
            linked for linked in (each.__cause__, each.__context__) if linked is not None
        )
        pending.extend(each.exceptions or ())


def _is_program(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(("<script", "<setup"))


def _truncate(text: str, limit: int) -> str:
    # `str.__str__`: a subclass may override methods. The contract's strings have no surrogates.
    text = str.__str__(text).encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
