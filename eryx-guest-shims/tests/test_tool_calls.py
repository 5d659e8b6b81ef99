"""The module `tools`, over a fake host."""

from __future__ import annotations

from conftest import Guest

PREAMBLE = """
import asyncio, sys
from wit_world.imports import functions

functions.offered["echo"] = lambda *args, **kwargs: [args, kwargs]
functions.offered["fail"] = functions.Exception
functions.descriptions += [
    functions.Description("echo", functions.Kind.ASYNCHRONOUS, "(*args, **kwargs) -> list", "Echo."),
    functions.Description("fail", functions.Kind.PLAIN, "(kind, message='')", ""),
]

from eryx_guest import tools_module

spec = tools_module.find_spec("tools", functions.available("tools"))
import importlib.util
tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tools)
"""


def run(guest: Guest, program: str) -> None:
    """Runs a program with the module `tools`. All calls have to end."""
    guest(PREAMBLE + program + "\nassert not functions.live\n")


def test_a_module_of_the_program_with_the_name_is_an_error(guest: Guest) -> None:
    run(
        guest,
        """
import pathlib, tempfile
with tempfile.TemporaryDirectory() as folder:
    sys.path.append(folder)
    (pathlib.Path(folder) / "tools").mkdir()
    assert tools_module.find_spec("tools", functions.descriptions)
    (pathlib.Path(folder) / "tools.py").write_text("")
    import importlib
    importlib.invalidate_caches()
    try:
        tools_module.find_spec("tools", functions.descriptions)
    except ImportError as error:
        assert error.path in str(error) and "functions_module" in str(error)
    else:
        raise AssertionError("no error")
    assert tools_module.find_spec("api", functions.descriptions).name == "api"
""",
    )


def test_calls_overlap_and_cancel(guest: Guest) -> None:
    run(
        guest,
        """
import time
async def main():
    before = time.monotonic()
    results = await asyncio.gather(*(tools.echo(n, delay=0.3) for n in range(50)))
    assert results == [[[n], {}] for n in range(50)], results
    assert len(functions.live) == 0
    # One after another would take 15 s.
    assert time.monotonic() - before < 10
    try:
        await asyncio.wait_for(tools.echo(delay=60), 0.01)
    except TimeoutError:
        pass
    call = tools.echo.start(delay=60)
    assert len(functions.live) == 1
    assert call.cancel() and not call.cancel()
    try:
        await call
    except RuntimeError as error:
        assert "already awaited or cancelled" in str(error)
asyncio.run(main())
""",
    )


def test_every_form_of_a_call_returns_the_result(guest: Guest) -> None:
    run(
        guest,
        """
async def main():
    assert await tools.echo(1, a=b"x") == [[1], {"a": b"x"}]
    assert await tools.echo.start(1, a=2) == [[1], {"a": 2}]
    assert tools.echo.wait(1, delay=0.01) == [[1], {}]
asyncio.run(main())
""",
    )


def test_exceptions_have_the_builtin_type_or_that_of_the_module(guest: Guest) -> None:
    run(
        guest,
        """
import builtins
kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type)]
names = {kind.__name__ for kind in kinds if issubclass(kind, Exception)}
iteration = {"StopIteration", "StopAsyncIteration"}
others = {"ExceptionGroup", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeTranslateError"}
assert {"ValueError", "MemoryError", "IndentationError", "UserWarning"} <= names
for name in names - iteration - others:
    try:
        tools.fail(name, "text")
    except Exception as error:
        assert type(error).__name__ == name and error.args == ("text",)
        assert error.__context__ is None
ends = {"KeyboardInterrupt", "SystemExit", "GeneratorExit", "BaseException"}
for name in {"IOError", "nothing", "__import__", ""} | ends | iteration | others:
    try:
        tools.fail(name, "text")
    except tools.Error as error:
        assert (error.type, error.message) == (name, "text")
# It would end the loop.
def items():
    yield 1
    tools.fail("StopIteration", "text")
try:
    list(items())
except tools.Error as error:
    assert error.type == "StopIteration"
else:
    raise AssertionError("the loop ended")
try:
    tools.fail("tools.LimitError", "text")
except tools.LimitError:
    pass
for arguments in ([object()], [{1: 2}], [float("nan")], ["\\ud800"]):
    try:
        tools.fail(*arguments)
    except (TypeError, ValueError) as error:
        assert str(error).startswith("arguments of fail"), error
    else:
        raise AssertionError(arguments)
""",
    )


def test_arguments_of_any_size_above_the_limit_are_refused_by_the_host(guest: Guest) -> None:
    run(
        guest,
        """
for argument, size in {
    "x" * (1 << 20): (1 << 20) + 9,
    "x" * (4 << 20): (3 << 20) + 1,
    (0,) * (4 << 20): (3 << 20) + 1,
}.items():
    for call in (tools.fail, tools.echo.start):
        try:
            call(argument)
        except tools.LimitError as error:
            assert str(error) == f"{size} bytes", error
            assert error.__context__ is None
        else:
            raise AssertionError(size)
""",
    )


def test_signatures_are_shown_and_never_evaluated(guest: Guest) -> None:
    run(
        guest,
        """
import inspect
assert str(inspect.signature(tools.echo)) == "(*args, **kwargs) -> list"
for text, shown in {
    "(a, /, b: int = f(), *, c='x', **d) -> g.h": "(a, /, b: int = f(), *, c='x', **d) -> g.h",
    "(a: exit() = exit())": "(a: exit() = exit())",
    "(a): pass\\ndef g()": "(*args, **kwargs)",
    "((": "(*args, **kwargs)",
    "(a, a)": "(*args, **kwargs)",
}.items():
    assert str(tools_module._signature(text)) == shown, tools_module._signature(text)
assert tools.echo.__doc__ == "Echo." and tools.fail.__doc__ is None
assert inspect.iscoroutinefunction(tools.echo) and not inspect.iscoroutinefunction(tools.fail)
assert tools.__all__ == ["echo", "fail"]
""",
    )


def test_a_module_gets_the_functions_that_are_offered_later(guest: Guest) -> None:
    run(
        guest,
        """
functions.offered["new"] = lambda: "new"
echo = tools.echo
tools_module.refresh(lambda name: {"tools": list(functions.descriptions)}[name])
assert tools.echo is echo and tools.__all__ == ["echo", "fail"]
fail = functions.Description("fail", functions.Kind.ASYNCHRONOUS, "(kind)", "Fails.")
new = functions.Description("new", functions.Kind.PLAIN, "()", "")
tools_module.refresh(lambda name: [fail, new])
assert tools.new() == "new" and tools.fail.__doc__ == "Fails."
assert tools.__all__ == ["fail", "new"]
# It is not offered any more: the host says so when it is called.
assert tools.echo is echo
del functions.offered["echo"]
try:
    tools.echo.wait()
except AttributeError as error:
    assert str(error) == "no echo"
else:
    raise AssertionError("no error")
""",
    )


def test_a_call_that_is_never_awaited_is_cancelled_with_a_warning(guest: Guest) -> None:
    run(
        guest,
        """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    tools.echo.start(delay=60)
assert [str(each.message) for each in caught] == ["the call of tools.echo was never awaited"]
""",
    )
