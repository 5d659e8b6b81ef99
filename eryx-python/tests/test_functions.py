"""The embedder's functions: plain and async callables, nesting, cancellation, errors, shutdown."""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import copy
import functools
import gc
import os
import pickle
import sys
import threading
import time
import weakref

import pytest

import eryx

user = contextvars.ContextVar("user", default="unset")


def echo(*args, **kwargs):
    """Return the arguments."""
    return [args, kwargs]


async def aecho(*args, **kwargs):
    await asyncio.sleep(0)
    return [args, kwargs]


BOTH = """
import tools
value = [None, True, 1, 2**100, 2.5, "é", [], {"a": b"\\x00\\xff"}]
print(tools.echo(*value, key=value) == [value, {"key": value}])
print(await tools.aecho(*value, key=value) == [value, {"key": value}])
print(tools.aecho.wait(1), await tools.echo.start(2))
"""
PRINTED = "True\nTrue\n[[1], {}] [[2], {}]\n"


def test_plain_and_async_functions_work_in_execute_and_aexecute():
    sandbox = eryx.Sandbox(functions={"echo": echo, "aecho": aecho})
    assert sandbox.execute(BOTH).stdout == PRINTED
    assert asyncio.run(sandbox.aexecute(BOTH)).stdout == PRINTED
    with sandbox.session() as session:
        assert session.execute(BOTH).stdout == PRINTED
        assert asyncio.run(session.aexecute(BOTH)).stdout == PRINTED
        assert session.execute(BOTH).stdout == PRINTED


def test_a_sandbox_of_a_factory_has_functions():
    factory = eryx.SandboxFactory(setup_code="def use(): import tools; return tools.echo(1)")
    sandbox = factory.create_sandbox(functions={"echo": echo})
    assert sandbox.execute("print(use())").stdout == "[[1], {}]\n"


def test_functions_run_on_the_threads_and_loops_that_the_manual_names():
    threads = {}

    def plain():
        threads["plain"] = threading.current_thread()

    async def asynchronous():
        threads["async"] = threading.current_thread()
        threads["loop"] = asyncio.get_running_loop()

    sandbox = eryx.Sandbox(functions={"plain": plain, "asynchronous": asynchronous})
    program = "import tools; tools.plain(); await tools.asynchronous()"
    sandbox.execute(program)
    assert threads["plain"] is not threading.current_thread()
    assert threads["async"].name == "eryx-functions"

    async def main():
        await sandbox.aexecute(program)
        assert threads["loop"] is asyncio.get_running_loop()

    asyncio.run(main())
    assert threads["plain"] is not threading.current_thread()
    assert threads["async"] is threading.current_thread()


def test_functions_see_the_context_variables_of_the_caller_and_cannot_change_them():
    def plain():
        seen = user.get()
        user.set("changed")
        return seen

    async def asynchronous():
        return plain()

    sandbox = eryx.Sandbox(functions={"plain": plain, "asynchronous": asynchronous})
    program = "import tools; print(tools.plain(), tools.plain(), await tools.asynchronous())"
    token = user.set("alice")
    try:
        assert sandbox.execute(program).stdout == "alice alice alice\n"
        assert asyncio.run(sandbox.aexecute(program)).stdout == "alice alice alice\n"
        assert user.get() == "alice"
    finally:
        user.reset(token)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("limit", [32, 200])
def test_200_async_calls_overlap_up_to_the_limit(awaited, limit):
    running = most = 0

    async def fetch(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        # Until as many calls run as the limit allows.
        while most < limit:
            await asyncio.sleep(0.001)
        running -= 1
        if number == 7:
            raise LookupError("seven")
        return 2 * number

    sandbox = eryx.Sandbox(
        functions={"fetch": fetch},
        resource_limits=eryx.ResourceLimits(max_function_calls_in_flight=limit),
    )
    program = """
import asyncio, tools
results = await asyncio.gather(*map(tools.fetch, range(200)), return_exceptions=True)
print(repr(results.pop(7)), results == [2 * n for n in range(200) if n != 7])
"""
    result = asyncio.run(sandbox.aexecute(program)) if awaited else sandbox.execute(program)
    assert result.stdout == "LookupError('seven') True\n"
    assert most == limit
    assert len(result.function_calls) == 200


class CustomError(ValueError):
    pass


def test_exceptions_arrive_with_their_type_and_without_the_paths_of_the_host():
    def fail(kind):
        if kind == "file":
            os.stat("/no/such/folder/secret.txt")
        if kind == "unicode":
            b"\xff".decode()
        if kind == "key":
            return {}["a key"]
        if kind == "custom":
            raise CustomError("of the embedder")
        if kind == "surrogates":
            raise ValueError("\udc80")
        if kind == "str":
            raise type("Bad", (ValueError,), {"__str__": lambda self: 1 / 0})
        raise getattr(__builtins__, kind, None) or __builtins__[kind]("the message")

    sandbox = eryx.Sandbox(functions={"fail": fail})
    program = """
import tools, traceback
for kind in %r:
    try:
        tools.fail(kind)
    except Exception as error:
        print(type(error).__name__, "/", error)
        text = traceback.format_exc()
        assert ".py" not in text.replace("<script>", "") or "/no/" not in text, text
        assert "test_functions" not in text and "secret" not in text, text
"""
    kinds = ["ValueError", "TimeoutError", "file", "unicode", "key", "custom", "surrogates", "str"]
    kinds += ["SystemExit", "KeyboardInterrupt", "StopIteration"]
    printed = sandbox.execute(program % kinds).stdout.splitlines()
    assert printed[:2] == ["ValueError / the message", "TimeoutError / the message"]
    assert printed[2] == "FileNotFoundError / No such file or directory"
    assert printed[3].startswith("UnicodeError / 'utf-8' codec can't decode")
    assert printed[4] == "KeyError / 'a key'"
    assert printed[5] == "Error / CustomError: of the embedder"
    assert printed[6] == "ValueError / \\udc80"
    assert printed[7] == "Error / Bad"
    assert printed[8] == "Error / SystemExit: the message"
    assert printed[9] == "Error / KeyboardInterrupt: the message"
    assert printed[10] == "Error / StopIteration: the message"


def test_every_builtin_exception_is_caught_as_itself_or_as_its_nearest_base():
    def fail(name):
        kind = getattr(builtins, name)
        if issubclass(kind, UnicodeError) and kind is not UnicodeError:
            data = b"a" if kind is UnicodeDecodeError else "a"
            arguments = () if kind is UnicodeTranslateError else ("utf-8",)
            raise kind(*arguments, data, 0, 1, "reason")
        raise kind("m", [ValueError()]) if name == "ExceptionGroup" else kind("m")

    kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type)]
    names = {kind.__name__ for kind in kinds if issubclass(kind, Exception)}
    expected = {name: name for name in names if hasattr(builtins, name)}
    expected |= {name: "UnicodeError" for name in names if name.startswith("Unicode")}
    expected |= dict.fromkeys(["StopIteration", "StopAsyncIteration"], "Error")
    for name, base in {"ExceptionGroup": "Exception", "ImportCycleError": "ImportError"}.items():
        if name in names:
            expected[name] = base
    expected["UnicodeWarning"] = "UnicodeWarning"
    sandbox = eryx.Sandbox(functions={"fail": fail})
    program = f"""
import tools
seen = {{}}
for name in {sorted(expected)}:
    try:
        tools.fail(name)
    except Exception as error:
        seen[name] = type(error).__name__
seen
"""
    assert sandbox.execute(program, value=True).value == expected
    assert {"IndentationError", "MemoryError", "UserWarning"} <= set(expected)


def test_values_that_are_too_large_to_pass_are_limit_errors_too():
    async def along(characters):
        return "x" * characters

    functions = {"long": lambda characters: "x" * characters, "along": along, "echo": echo}
    sandbox = eryx.Sandbox(functions=functions)
    result = sandbox.execute("""
import tools
for call in (
    lambda: tools.echo("x" * (4 << 20)), lambda: tools.echo([0] * (4 << 20)),
    lambda: tools.long(4 << 20), lambda: tools.along.wait(4 << 20),
):
    try:
        call()
        print("ACCEPTED")
    except tools.LimitError as error:
        print(error)
""")
    advice = "have the embedder raise max_function_value"
    of_arguments = f"the arguments of echo have more than 3145728 bytes as JSON; the limit is 1048576: pass less, or {advice}"
    of_result = (
        f"the result has 4194306 bytes as JSON; the limit is 1048576: ask for less, or {advice}"
    )
    assert result.stdout.splitlines() == [*[of_arguments] * 2, *[of_result] * 2]
    assert result.function_calls.refusals == {"max_function_value": 2}


def test_values_that_are_not_json_are_a_type_error_in_the_program():
    async def afunction():
        return object()

    values = {"object": object(), "keys": {1: 2}, "nan": float("nan"), "coroutine": None}

    def get(name):
        return afunction() if name == "coroutine" else values[name]

    sandbox = eryx.Sandbox(functions={"get": get, "afunction": afunction, "echo": echo})
    printed = sandbox.execute("""
import tools
for call in (
    lambda: tools.get("object"), lambda: tools.get("keys"), lambda: tools.get("nan"),
    lambda: tools.get("coroutine"), lambda: tools.afunction.wait(),
    lambda: tools.echo(object()), lambda: tools.echo({1: 2}), lambda: tools.echo(float("inf")),
    lambda: tools.echo("\\ud800"), lambda: tools.get(), lambda: tools.get(1, 2, 3),
):
    try:
        call()
        print("ACCEPTED")
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
""").stdout.split()
    of_results = ["TypeError", "TypeError", "ValueError", "TypeError", "TypeError"]
    of_arguments = ["TypeError", "TypeError", "ValueError", "ValueError", "TypeError", "TypeError"]
    assert printed == [*of_results, *of_arguments]


def test_numbers_beyond_a_float_are_refused():
    sandbox = eryx.Sandbox(functions={"echo": echo})
    program = """
from wit_world.imports import functions
try:
    call = functions.Call.start("echo", b"[[1e999],{}]")
    print(call.finish(None))
except BaseException as error:
    print(error.value.value.exception_type)
"""
    assert sandbox.execute(program).stdout == "ValueError\n"


def test_a_sandbox_describes_its_functions():
    marker = object()

    def search(q: str, limit: int = 10, *, where=marker, path="/x") -> list:
        """Search the archive.

        Slowly.
        """

    sandbox = eryx.Sandbox(functions={"search": search, "aecho": aecho, "size": len})
    assert sandbox.describe_functions() == (
        "async def aecho(*args, **kwargs): ...\n\n"
        "def search(q: str, limit: int = 10, *, where=..., path='/x') -> list:\n"
        '    """Search the archive.\n\n    Slowly.\n    """\n\n'
        'def size(obj, /):\n    """Return the number of items in a container."""\n'
    )
    printed = sandbox.execute(
        "import inspect, tools; print(inspect.signature(tools.search)); print(tools.search.__doc__)"
    ).stdout
    assert printed.startswith("(q: str, limit: int = 10, *, where=..., path='/x') -> list\nSearch")
    assert "functions={'search': ..., 'aecho': ..., 'size': ...}" in repr(sandbox)
    assert eryx.Sandbox().describe_functions() == ""


def test_a_function_whose_signature_cannot_be_determined_is_offered_without_it():
    class Odd:
        @property
        def __signature__(self):
            raise RuntimeError

        def __call__(self):
            """Return nothing."""

    functions = {"odd": Odd()}
    if sys.version_info >= (3, 14):
        # Annotations are evaluated when something asks for them.
        namespace = {}
        exec("def typed(x: Missing, y: list[Missing]) -> Missing: return x", namespace)
        functions["typed"] = namespace["typed"]
    sandbox = eryx.Sandbox(functions=functions)
    description = sandbox.describe_functions()
    assert "def odd(*args, **kwargs)" in description
    if sys.version_info >= (3, 14):
        assert "def typed(x: Missing, y: list[Missing]) -> Missing: ..." in description


@pytest.mark.parametrize(
    ("functions", "error", "message"),
    [
        ([echo], TypeError, "functions has to be a dict from names to functions"),
        ({1: echo}, TypeError, "a name in functions has to be a str"),
        ({"echo": 1}, TypeError, 'functions["echo"] has to be a function'),
        ({"not a name": echo}, eryx.ConfigError, "not a name for a function"),
        ({"class": echo}, eryx.ConfigError, "keyword"),
        ({"_private": echo}, eryx.ConfigError, "ASCII letter"),
        ({f"f{n}": echo for n in range(257)}, eryx.ConfigError, "at most 256"),
    ],
)
def test_wrong_functions_are_refused(functions, error, message):
    with pytest.raises(error, match=".*" + message.replace("[", "\\[").replace("]", "\\]")):
        eryx.Sandbox(functions=functions)
    assert eryx.Sandbox(functions=None).execute("print(1)").stdout == "1\n"


def test_a_callable_object_and_a_partial_are_functions():
    class Counter:
        def __init__(self):
            self.count = 0

        def __call__(self, by=1):
            self.count += by
            return self.count

    sandbox = eryx.Sandbox(
        functions={
            "count": Counter(),
            "part": functools.partial(echo, 1),
            "apart": functools.partial(aecho, 2),
        }
    )
    printed = sandbox.execute(
        "import tools; print(tools.count(), tools.count(by=2), tools.part(), await tools.apart(3))"
    ).stdout
    assert printed == "1 3 [[1], {}] [[2, 3], {}]\n"


def test_a_class_with_asynchronous_instances_is_no_asynchronous_function():
    class Job:
        def __init__(self, name):
            self.name = name

        async def __call__(self):
            return self.name

    # `Job` itself makes an instance, whose name is its value.
    make = type("Make", (Job,), {"__new__": lambda cls, name: f"made {name}"})
    sandbox = eryx.Sandbox(functions={"make": make, "run": Job("ran")})
    printed = sandbox.execute("import tools; print(tools.make('it'), await tools.run())").stdout
    assert printed == "made it ran\n"


def test_a_function_can_run_a_sandbox():
    inner = eryx.Sandbox(functions={"echo": echo})

    def plain(code):
        return inner.execute(code).stdout

    async def asynchronous(code):
        return (await inner.aexecute(code)).stdout

    outer = eryx.Sandbox(functions={"plain": plain, "asynchronous": asynchronous})
    program = """
import tools
code = "import tools; print(tools.echo(1))"
print(tools.plain(code), await tools.asynchronous(code))
"""
    assert outer.execute(program).stdout == "[[1], {}]\n [[1], {}]\n\n"
    assert asyncio.run(outer.aexecute(program)).stdout == "[[1], {}]\n [[1], {}]\n\n"


def test_the_depth_of_nested_executions_is_bounded():
    def plain(depth):
        result = sandbox.execute(f"import tools; print(tools.plain({depth + 1}), end='')")
        return result.stdout

    async def asynchronous(depth):
        program = f"import tools; print(await tools.asynchronous({depth + 1}), end='')"
        return (await sandbox.aexecute(program)).stdout

    sandbox = eryx.Sandbox(functions={"plain": plain, "asynchronous": asynchronous})
    with pytest.raises(eryx.ExecutionError, match="executions are nested 8 levels deep"):
        sandbox.execute("import tools; tools.plain(0)")
    with pytest.raises(eryx.ExecutionError, match="executions are nested 8 levels deep"):
        asyncio.run(sandbox.aexecute("import tools; await tools.asynchronous(0)"))


def test_a_session_that_calls_itself_is_an_error_at_once():
    def plain():
        return session.execute("print(1)").stdout

    async def asynchronous():
        return (await session.aexecute("print(1)")).stdout

    sandbox = eryx.Sandbox(functions={"plain": plain, "asynchronous": asynchronous})
    with sandbox.session() as session:
        for call in ("tools.plain()", "tools.asynchronous.wait()"):
            with pytest.raises(eryx.ExecutionError, match="cannot run a program in that session"):
                session.execute(f"import tools; {call}")
            with pytest.raises(eryx.ExecutionError, match="cannot run a program in that session"):
                asyncio.run(session.aexecute(f"import tools; {call}"))
        assert session.execute("print('fine')").stdout == "fine\n"


def test_execute_with_async_functions_is_refused_where_an_event_loop_runs():
    sandbox = eryx.Sandbox(functions={"aecho": aecho})

    async def main():
        with pytest.raises(eryx.EryxError, match="await aexecute"):
            sandbox.execute("pass")
        return eryx.Sandbox(functions={"echo": echo}).execute("import tools; tools.echo()")

    assert asyncio.run(main()).function_calls.calls[0].outcome == "returned"


def test_callbacks_still_cannot_run_programs():
    errors = []

    def on_stdout(text):
        try:
            eryx.Sandbox().execute("pass")
        except eryx.EryxError as error:
            errors.append(str(error))

    def nested():
        eryx.Sandbox(on_stdout=on_stdout).execute("print(1)")

    eryx.Sandbox(on_stdout=on_stdout).execute("print(1)")
    eryx.Sandbox(functions={"nested": nested}).execute("import tools; tools.nested()")
    assert len(errors) == 2
    assert all("on_stdout" in error for error in errors)


def test_a_function_that_ends_its_event_loop_leaves_that_of_others_running(caplog):
    async def leaves_a_task_that_exits():
        async def exits():
            sys.exit(3)

        task = asyncio.ensure_future(exits())
        await asyncio.sleep(0.001)
        return repr(task.exception())

    async def stops():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.001)
        return "stopped"

    functions = {"exits": leaves_a_task_that_exits, "stops": stops, "aecho": aecho}
    program = "import tools\nprint(tools.exits.wait(), tools.stops.wait(), tools.aecho.wait(1))"
    for _ in range(2):
        result = eryx.Sandbox(functions=functions).execute(program)
        assert result.stdout == "SystemExit(3) stopped [[1], {}]\n"
    [first, second] = [record.exc_info[0] for record in caplog.records]
    assert first is second is SystemExit


def test_the_end_of_an_execution_cancels_its_async_functions():
    events = []
    begun = set()
    both = threading.Event()

    async def hang(number):
        try:
            begun.add(number)
            if len(begun) == 2:
                both.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append(number)
            raise

    def wait_for_both():
        both.wait(30)

    sandbox = eryx.Sandbox(functions={"hang": hang, "wait_for_both": wait_for_both})
    program = """
import asyncio, tools
tasks = [asyncio.create_task(tools.hang(n)) for n in range(2)]
await asyncio.sleep(0)
await tools.wait_for_both.start()
"""

    def cancelled():
        deadline = time.monotonic() + 30
        while len(events) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        return sorted(events)

    result = sandbox.execute(program)
    assert cancelled() == [0, 1]
    outcomes = [(call.name, call.outcome) for call in result.function_calls.calls]
    assert sorted(outcomes) == [("hang", "cancelled")] * 2 + [("wait_for_both", "returned")]

    events.clear()
    begun.clear()
    both.clear()

    async def main():
        task = asyncio.create_task(sandbox.aexecute(program + "\nawait asyncio.gather(*tasks)"))
        while not both.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(cancelled)

    asyncio.run(main())
    assert sorted(events) == [0, 1]


def test_a_function_that_never_returns_does_not_hold_the_time_limit():
    release = threading.Event()
    limits = eryx.ResourceLimits(execution_timeout_ms=2000)
    sandbox = eryx.Sandbox(functions={"hang": release.wait}, resource_limits=limits)
    try:
        with pytest.raises(eryx.TimeoutError) as caught:
            sandbox.execute("import tools; print('begun'); tools.hang(60)")
        with pytest.raises(eryx.TimeoutError):
            asyncio.run(sandbox.aexecute("import tools; print('begun'); tools.hang(60)"))
    finally:
        release.set()
    assert caught.value.stdout == "begun\n"
    [call] = caught.value.function_calls.calls
    assert (call.name, call.outcome) == ("hang", "cancelled")


def test_a_program_goes_on_while_a_function_that_took_too_long_still_runs():
    release = threading.Event()
    sandbox = eryx.Sandbox(
        functions={"hang": release.wait, "echo": echo},
        resource_limits=eryx.ResourceLimits(function_timeout_ms=50),
    )
    program = """
import tools
try:
    tools.hang(60)
except TimeoutError:
    print(tools.echo(1), tools.echo(2))
"""
    try:
        with sandbox.session() as session:
            for _ in range(2):
                assert session.execute(program).stdout == "[[1], {}] [[2], {}]\n"
                result = asyncio.run(session.aexecute(program))
                assert [call.outcome for call in result.function_calls.calls] == [
                    "timed-out",
                    "returned",
                    "returned",
                ]
    finally:
        release.set()


@pytest.mark.parametrize("awaited", [False, True])
def test_calls_alternate_with_output_computation_and_waits(awaited):
    printed = []
    sandbox = eryx.Sandbox(
        functions={"echo": echo, "aecho": aecho},
        on_stdout=printed.append,
        resource_limits=eryx.ResourceLimits(max_function_calls=2000),
    )
    program = """
import asyncio, tools
for number in range(20):
    for _ in range(40):
        assert tools.echo(number) == [[number], {}]
    # More than a time slice.
    sum(range(300_000))
    print(tools.echo(number)[0], await tools.aecho(number), tools.aecho.wait(number)[0])
    await asyncio.sleep(0.001)
"""
    result = asyncio.run(sandbox.aexecute(program)) if awaited else sandbox.execute(program)
    assert result.stdout == "".join(f"[{n}] [[{n}], {{}}] [{n}]\n" for n in range(20))
    assert "".join(printed) == result.stdout
    calls = result.function_calls
    assert len(calls) + calls.dropped == 20 * 43


def test_the_embedder_names_the_module_of_the_functions():
    sandbox = eryx.Sandbox(functions={"echo": echo}, functions_module="api")
    assert (
        sandbox.execute("""
import api
print(api.__name__, api.echo(1), api.echo.__module__, api.Error.__module__)
try:
    import tools
except ModuleNotFoundError as error:
    print(error.name)
open("tools.py", "w").write("x = 1")
import importlib
importlib.invalidate_caches()
import tools
print(tools.x)
""").stdout
        == "api [[1], {}] api api\ntools\n1\n"
    )
    assert "functions_module='api'" in repr(sandbox)
    for name in ("json", "import", "a.b", ""):
        with pytest.raises(eryx.ConfigError, match=r"^functions_module="):
            eryx.Sandbox(functions={"echo": echo}, functions_module=name)
    with pytest.raises(TypeError, match="functions_module"):
        eryx.Sandbox(functions_module=1)


def test_another_name_of_the_module_is_refused_without_functions():
    for make in (eryx.Sandbox, eryx.Session):
        with pytest.raises(
            eryx.ConfigError, match="functions_module has no effect without functions"
        ):
            make(functions_module="api")
        # A dict that is empty today may have functions tomorrow.
        make(functions={}, functions_module="api")
        make(functions=None, functions_module="tools", on_function_call=print)


def test_a_module_of_the_program_with_the_name_of_the_functions_is_an_error():
    sandbox = eryx.Sandbox(
        functions={"echo": echo}, files={"/home/user/tools.py": b"", "/home/user/api/data": b""}
    )
    with pytest.raises(eryx.ExecutionError) as caught:
        sandbox.execute("import tools")
    assert caught.value.exception_type == "ImportError"
    assert "/home/user/tools.py" in str(caught.value)
    assert "functions_module" in str(caught.value)
    # A directory that is no package is no module.
    sandbox = eryx.Sandbox(
        functions={"echo": echo}, functions_module="api", files={"/home/user/api/data": b""}
    )
    assert sandbox.execute("import api; print(api.echo(1))").stdout == "[[1], {}]\n"


def test_limits_of_functions_are_settings_of_resource_limits():
    limits = eryx.ResourceLimits(
        max_function_calls=2,
        max_function_calls_in_flight=1,
        max_function_value_bytes=100,
        function_timeout_ms=50,
    )
    assert "max_function_calls=2" in repr(limits)
    assert pickle.loads(pickle.dumps(limits)) == limits != eryx.ResourceLimits()
    assert eryx.ResourceLimits().function_timeout_ms is None
    assert eryx.ResourceLimits().max_function_value_bytes == 2**20
    release = threading.Event()

    async def never():
        await asyncio.sleep(60)

    sandbox = eryx.Sandbox(functions={"never": never, "echo": echo}, resource_limits=limits)
    result = sandbox.execute("""
import tools
for call in (
    lambda: tools.echo("x" * 100), lambda: tools.never.wait(), lambda: tools.echo(1), lambda: tools.echo(2)
):
    try:
        print(call())
    except (tools.LimitError, TimeoutError) as error:
        print(type(error).__name__)
""")
    release.set()
    assert result.stdout == "LimitError\nTimeoutError\n[[1], {}]\nLimitError\n"
    assert result.function_calls.refusals == {"max_function_calls": 1, "max_function_value": 1}
    for settings, message in [
        ({"max_function_calls": 0}, "at least 1"),
        ({"max_function_calls_in_flight": 0}, "from 1 to 1024"),
        ({"max_function_value_bytes": 4 * 2**20}, "from 1 to 3145728"),
        ({"function_timeout_ms": 0}, "at least 1"),
    ]:
        with pytest.raises(eryx.ConfigError, match=message):
            eryx.ResourceLimits(**settings)


def test_reports_are_values():
    sandbox = eryx.Sandbox(functions={"echo": echo})
    result = sandbox.execute("import tools; tools.echo(1)")
    report = result.function_calls
    assert pickle.loads(pickle.dumps(result)) == result
    assert pickle.loads(pickle.dumps(report)) == report == copy.copy(report)
    [call] = report.calls
    assert (call.name, call.outcome, call.exception_type) == ("echo", "returned", None)
    assert (call.argument_bytes, call.result_bytes) == (8, 8)
    assert call.execution == result.execution
    assert call.duration_ms >= 0
    assert (report.dropped, report.refusals) == (0, {})
    with pytest.raises(eryx.ExecutionError) as caught:
        sandbox.execute("import tools; tools.echo(1); 1 / 0")
    assert len(caught.value.function_calls) == 1
    assert len(eryx.ExecutionError("made by hand").function_calls) == 0


@pytest.mark.parametrize("awaited", [False, True])
def test_on_function_call_receives_each_call(awaited):
    calls = []
    sandbox = eryx.Sandbox(functions={"echo": echo, "aecho": aecho}, on_function_call=calls.append)
    program = "import tools; tools.echo(1); await tools.aecho(2); call = tools.aecho.start(3)"

    def run():
        return asyncio.run(sandbox.aexecute(program)) if awaited else sandbox.execute(program)

    result = run()
    assert calls == result.function_calls.calls
    assert [call.name for call in calls] == ["echo", "aecho", "aecho"]

    def fail(call):
        raise LookupError(call.name)

    sandbox = eryx.Sandbox(functions={"echo": echo, "aecho": aecho}, on_function_call=fail)
    with pytest.raises(LookupError, match="echo"):
        run()


def test_a_sandbox_that_its_function_refers_to_is_collected():
    def cycle():
        def function():
            return sandbox

        sandbox = eryx.Sandbox(functions={"function": function})
        session = sandbox.session()
        function.session = session
        sandbox.execute("import tools\ntry: tools.function()\nexcept TypeError: pass")
        return weakref.ref(sandbox), weakref.ref(session)

    sandbox, session = cycle()
    gc.collect()
    assert sandbox() is None
    assert session() is None


def test_ctrl_c_ends_an_execution_that_waits_for_a_function(python):
    python("""
import os, signal, threading, time
import eryx

release = threading.Event()
def hang():
    os.kill(os.getpid(), signal.SIGINT)
    release.wait(60)

try:
    eryx.Sandbox(functions={"hang": hang}).execute("import tools; tools.hang()")
except KeyboardInterrupt:
    release.set()
else:
    raise SystemExit("not interrupted")
""")


def test_the_interpreter_ends_while_functions_run(python):
    python("""
import asyncio, threading, time
import eryx

begun = threading.Barrier(3)
def hang():
    begun.wait(20)
    time.sleep(3)
async def ahang():
    begun.wait(20)
    await asyncio.sleep(60)

sandbox = eryx.Sandbox(functions={"hang": hang, "ahang": ahang})
for program in ("tools.hang()", "await tools.ahang()"):
    threading.Thread(
        target=sandbox.execute, args=("import tools; " + program,), daemon=True
    ).start()
begun.wait(20)
print("end")
""")


def test_functions_work_in_a_forked_process(python):
    completed = python("""
import asyncio, os, sys
import eryx

async def aecho(value):
    return value
sandbox = eryx.Sandbox(functions={"echo": lambda value: value, "aecho": aecho})
program = "import tools; print(tools.echo(1), await tools.aecho(2))"
assert sandbox.execute(program).stdout == "1 2\\n"
child = os.fork()
if child == 0:
    ok = sandbox.execute(program).stdout == "1 2\\n"
    os._exit(0 if ok else 1)
assert os.waitpid(child, 0)[1] == 0
assert sandbox.execute(program).stdout == "1 2\\n"
print("fine")
""")
    assert completed.stdout == "fine\n"
