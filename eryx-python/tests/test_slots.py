"""Slots of the instance pool contain nothing of their previous sandbox, whatever the kernel did with
their pages."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Callable

import pytest

HERE = pathlib.Path(__file__).parent
SWAP = 256 << 20
KSM = pathlib.Path("/sys/kernel/mm/ksm")

# The beginning of each program. The mark is assembled at run time, so that no source contains it.
PRELUDE = """
import eryx
from kernel_pages import *

MARK = b"SECRET-00" + b"4242SECRET-004242"
FILL = "kept = [('SECRET-%06d' % n) * 40 for n in range(8000)]"
MANY_CALLS = "import json, re, decimal; print(json.loads(json.dumps({'a': [1, 2]})), re.sub('a+', 'b', 'caat'), decimal.Decimal(1) / 8)"
CALLED = "{'a': [1, 2]} cbt 0.125\\n"
own = runs_with(MARK)

def check():
    # The next programs run in the same memories and function tables.
    assert runs_with(MARK) == own, "a closed sandbox left its memory behind"
    for _ in range(20):
        assert eryx.Sandbox().execute(MANY_CALLS).stdout == CALLED
    print("clean")
"""


@pytest.fixture(scope="module")
def swap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Enables swap to a file."""
    if os.geteuid() != 0:
        pytest.skip("only root can turn swap on")
    file = tmp_path_factory.mktemp("swap") / "swap"
    with file.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, SWAP)
    file.chmod(0o600)
    for command in (["mkswap", file], ["swapon", file]):
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"this machine does not let tests swap: {error}")
    yield
    subprocess.run(["swapoff", file], check=True)


@pytest.fixture
def run() -> Callable[..., str]:
    """Run `PRELUDE` and a program in a separate process, which must exit with status 0."""

    def run(program: str, *, first: Callable[[], None] | None = None) -> str:
        completed = subprocess.run(
            [sys.executable, "-c", PRELUDE + program],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            preexec_fn=first,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    return run


@pytest.mark.usefixtures("swap")
def test_swapped_out_memory_is_gone_after_its_sandbox(run):
    program = """
session = eryx.Sandbox().session()
assert session.execute(FILL + "\\n" + MANY_CALLS).stdout == CALLED
assert runs_with(MARK) > own
assert advise(MADV_PAGEOUT)
session.close()
check()
"""
    assert run(program) == "clean\n"


@pytest.mark.usefixtures("swap")
def test_swapped_out_memory_returns_to_its_own_sandbox(run):
    program = """
sessions = [eryx.Sandbox().session() for _ in range(8)]
for n, session in enumerate(sessions):
    session.execute(f"mine = [{n}] * 50_000")
for _ in range(3):
    assert advise(MADV_PAGEOUT)
    for n, session in enumerate(sessions):
        assert session.execute("print(set(mine))").stdout == f"{{{n}}}\\n"
        assert session.execute(MANY_CALLS).stdout == CALLED
for session in sessions:
    session.execute(FILL)
    session.close()
check()
"""
    assert run(program) == "clean\n"


@pytest.mark.usefixtures("swap")
def test_an_instance_whose_pages_are_swapped_out_is_reset(run):
    # Swapped out while the program runs, so also when its instance is reset; and while it waits.
    program = """
from concurrent.futures import ThreadPoolExecutor
sandbox = eryx.Sandbox()
code = "kept = [('SECRET-%06d' % n) * 20 for n in range(4200, 4300)]\\nfor _ in range(100_000): pass"
over = False
def swap_out():
    while not over:
        advise(MADV_PAGEOUT)
with ThreadPoolExecutor(1) as pool:
    swapping = pool.submit(swap_out)
    for _ in range(30):
        assert sandbox.execute(code).stdout == ""
        assert sandbox.execute(MANY_CALLS).stdout == CALLED
    over = True
    swapping.result()
assert advise(MADV_PAGEOUT)
check()
"""
    assert run(program) == "clean\n"


@pytest.fixture
def cgroup(swap: None) -> Iterator[Callable[[], None]]:
    """A function that moves the calling process into a cgroup with less memory than its sandboxes need."""
    name = f"eryx-test-{os.getpid()}"
    unified = pathlib.Path("/sys/fs/cgroup")
    legacy = unified / "memory"
    if legacy.is_dir():
        group, limit, swap_limit = legacy / name, "memory.limit_in_bytes", None
    elif "memory" in (unified / "cgroup.subtree_control").read_text().split():
        group, limit, swap_limit = unified / name, "memory.high", "memory.swap.max"
    else:
        pytest.skip("no memory controller for control groups")
    try:
        group.mkdir()
        (group / limit).write_text(str(96 << 20))
        if swap_limit:
            (group / swap_limit).write_text("max")
    except OSError as error:
        pytest.skip(f"this machine does not let tests make control groups: {error}")
    yield lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None
    group.rmdir()


def test_slots_are_clean_under_memory_pressure(run, cgroup):
    # Eight threads whose sandboxes need twice the memory of their cgroup; each program has its own
    # data.
    program = """
from concurrent.futures import ThreadPoolExecutor
sandbox = eryx.Sandbox()
def work(thread):
    for turn in range(10):
        code = f"mine = ['%06d' % {thread * 1000 + turn}] + ['SECRET-%06d' % n * 40 for n in range(40_000)]; print(mine[0])"
        assert sandbox.execute(code).stdout == "%06d\\n" % (thread * 1000 + turn)
        assert sandbox.execute(MANY_CALLS).stdout == CALLED
with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
swapped = next(line for line in open("/proc/vmstat") if line.startswith("pswpout "))
assert int(swapped.split()[1]) > 0, "nothing was swapped out"
check()
"""
    assert run(program, first=cgroup) == "clean\n"


def test_slots_are_clean_while_the_kernel_moves_pages(run):
    compact = pathlib.Path("/proc/sys/vm/compact_memory")
    if not os.access(compact, os.W_OK):
        pytest.skip("this process cannot have memory compacted")
    program = """
for _ in range(10):
    sessions = [eryx.Sandbox().session() for _ in range(4)]
    for session in sessions:
        session.execute(FILL)
    open("/proc/sys/vm/compact_memory", "w").write("1")
    for session in sessions:
        session.close()
check()
"""
    assert run(program) == "clean\n"


def test_slots_are_clean_after_pages_became_huge(run):
    program = """
session = eryx.Sandbox().session()
session.execute(FILL)
advise(MADV_COLLAPSE)
session.close()
check()
"""
    assert run(program) == "clean\n"


@pytest.fixture
def merging() -> Iterator[None]:
    """Makes the kernel merge equal pages (KSM) at once, and zero pages with its own zero page."""
    if not os.access(KSM / "run", os.W_OK):
        pytest.skip("this process cannot have pages merged (KSM)")
    wanted = {"pages_to_scan": "20000", "sleep_millisecs": "1", "use_zero_pages": "1", "run": "1"}
    before = {name: (KSM / name).read_text().strip() for name in wanted}
    for name, value in wanted.items():
        (KSM / name).write_text(value)
    yield
    # 2 unmerges all pages.
    (KSM / "run").write_text("2")
    for name, value in before.items():
        (KSM / name).write_text(value)


@pytest.mark.usefixtures("merging")
def test_slots_are_clean_after_pages_were_merged(run):
    program = """
import time
PR_SET_MEMORY_MERGE = 67
if libc.prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) != 0:
    print("skipped")
    raise SystemExit
sessions = [eryx.Sandbox().session() for _ in range(4)]
for session in sessions:
    session.execute(FILL + "; zeros = [bytes(4096) for _ in range(2000)]")
def full_scans():
    return int(open("/sys/kernel/mm/ksm/full_scans").read())
start = full_scans()
while full_scans() < start + 3:
    time.sleep(0.01)
assert int(open("/sys/kernel/mm/ksm/pages_sharing").read()) > 0, "nothing was merged"
for session in sessions:
    session.close()
check()
"""
    printed = run(program)
    if printed == "skipped\n":
        pytest.skip("this kernel does not merge pages of a whole process (Linux 6.4)")
    assert printed == "clean\n"
