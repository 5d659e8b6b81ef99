"""Signal handlers of other libraries, programs that trap, and crashes of the process itself."""

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
def test_process_survives_a_trap_with_any_signal_handler_set(program):
    completed = run(program)
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == ""
    assert completed.stdout == TRAPPED * program.count("trap()\n") + (
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
def test_crash_of_the_process_reaches_faulthandler_once(program):
    completed = run(program)
    assert completed.returncode == -signal.SIGSEGV, completed.stderr
    assert completed.stderr.count("Fatal Python error: Segmentation fault") == 1, completed.stderr
    assert "string_at" in completed.stderr


def test_crash_of_the_process_prints_nothing_after_faulthandler_disable():
    completed = run(TRAP + "trap()\n" + ENABLE + "trap()\nfaulthandler.disable()\n" + CRASH)
    assert completed.returncode == -signal.SIGSEGV
    assert completed.stderr == ""


def test_endless_recursion_is_no_crash_when_faulthandler_is_enabled_later():
    completed = run(
        TRAP
        + ENABLE
        + "limits = eryx.ResourceLimits(max_memory_bytes=48 * 2**20)\n"
        + "try:\n    eryx.Sandbox(resource_limits=limits).execute('import sys; sys.setrecursionlimit(10**9)\\ndef f(n): return f(n + 1)\\nf(0)')\n"
        + "except eryx.EryxError as error: print(type(error).__name__)"
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == ""
    assert completed.stdout == "ResourceLimitError\n"


def test_traps_of_a_second_engine_and_of_sandboxes_do_not_interfere():
    pytest.importorskip("wasmtime", reason="the engine from the package index is not installed")
    engine = """
import wasmtime
def second_engine():
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, '(module (func (export "f") unreachable))')
    try:
        wasmtime.Instance(store, module, []).exports(store)["f"](store)
    except wasmtime.Trap:
        print("trap of the second engine", flush=True)
"""
    for program in (
        engine + TRAP + "second_engine()\ntrap()\nsecond_engine()\ntrap()",
        engine + TRAP + "trap()\nsecond_engine()\ntrap()\nsecond_engine()",
    ):
        completed = run(program)
        assert completed.returncode == 0, completed.stderr
        assert completed.stdout.count("trap of the second engine\n") == 2
        assert completed.stdout.count(TRAPPED) == 2
