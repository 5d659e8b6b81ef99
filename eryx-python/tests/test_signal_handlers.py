"""Handlers of SIGSEGV and its like that others set, programs that trap, and crashes of the host itself."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

TRAP = """
import eryx
def trap():
    for code in (
        "import os; os.abort()",
        "import opcode\\no = opcode.opmap\\ndef f(): pass\\nexec(f.__code__.replace(co_code=bytes([o['RESUME'], 0, "
        "o['EXTENDED_ARG'], 15, o['EXTENDED_ARG'], 255, o['EXTENDED_ARG'], 255, o['LOAD_CONST'], 255, "
        "o['RETURN_VALUE'], 0])))",
    ):
        try:
            eryx.Sandbox().execute(code)
        except eryx.EryxError as error:
            print(type(error).__name__)
    print("alive", flush=True)
"""

#: Names of the exceptions of the programs above.
TRAPPED = "ExecutionError\nExecutionError\nalive\n"

ENABLE = "import faulthandler; faulthandler.enable()\n"
CRASH = "import ctypes; ctypes.string_at(0)\n"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "program",
    [
        ENABLE + TRAP + "trap()",
        TRAP + "trap()\n" + ENABLE + "trap()",
        ENABLE + TRAP + "trap()\nfaulthandler.disable()\nfaulthandler.enable()\ntrap()",
        TRAP + "trap()\n" + ENABLE + "trap()\nfaulthandler.disable()\ntrap()",
        TRAP + "trap()\nimport signal\nsignal.signal(signal.SIGSEGV, lambda *_: None)\n"
        "signal.signal(signal.SIGILL, lambda *_: None)\ntrap()",
        TRAP
        + "trap()\nimport signal\nsignal.signal(signal.SIGSEGV, signal.SIG_DFL)\n"
        + "signal.signal(signal.SIGILL, signal.SIG_IGN)\ntrap()",
    ],
    ids=["before", "after", "twice", "and-disabled", "python", "default"],
)
def test_the_process_outlives_a_program_that_traps_whatever_handler_is_set(program):
    ended = run(program)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout == TRAPPED * program.count("trap()\n") + (
        TRAPPED if program.endswith("trap()") else ""
    )


@pytest.mark.parametrize(
    "program",
    [
        ENABLE + TRAP + "trap()\n" + CRASH,
        TRAP + "trap()\n" + ENABLE + CRASH,
        TRAP + "trap()\n" + ENABLE + "trap()\n" + CRASH,
        ENABLE + TRAP + "trap()\nfaulthandler.disable()\n" + ENABLE + "trap()\n" + CRASH,
    ],
    ids=["before", "after", "after-and-used", "again"],
)
def test_a_crash_of_the_host_itself_reaches_the_fault_handler_once(program):
    ended = run(program)
    assert ended.returncode == -signal.SIGSEGV, ended.stderr
    assert ended.stderr.count("Fatal Python error: Segmentation fault") == 1, ended.stderr
    assert "string_at" in ended.stderr


def test_a_crash_of_the_host_after_the_fault_handler_was_disabled_says_nothing():
    ended = run(TRAP + "trap()\n" + ENABLE + "trap()\nfaulthandler.disable()\n" + CRASH)
    assert ended.returncode == -signal.SIGSEGV
    assert ended.stderr == ""


def test_a_recursion_without_an_end_is_no_crash_with_a_fault_handler_set_later():
    ended = run(
        TRAP
        + ENABLE
        + "limits = eryx.ResourceLimits(max_memory_bytes=48 * 2**20)\n"
        + "try:\n    eryx.Sandbox(resource_limits=limits).execute('import sys; sys.setrecursionlimit(10**9)\\ndef f(n): return f(n + 1)\\nf(0)')\n"
        + "except eryx.EryxError as error: print(type(error).__name__)"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout == "ResourceLimitError\n"


def test_a_second_engine_and_the_sandboxes_trap_in_turn():
    pytest.importorskip("wasmtime", reason="the engine from the package index is not installed")
    engine = """
import wasmtime
def other():
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, '(module (func (export "f") unreachable))')
    try:
        wasmtime.Instance(store, module, []).exports(store)["f"](store)
    except wasmtime.Trap:
        print("trap of the other", flush=True)
"""
    for program in (
        engine + TRAP + "other()\ntrap()\nother()\ntrap()",
        engine + TRAP + "trap()\nother()\ntrap()\nother()",
    ):
        ended = run(program)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.count("trap of the other\n") == 2
        assert ended.stdout.count(TRAPPED) == 2
