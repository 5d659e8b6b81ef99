"""Missing resources of the machine: sandboxes work without them, or an error names the resource."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Callable

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("limits and namespaces of Linux", allow_module_level=True)

#: Prints the outcome of every attempt.
PREAMBLE = """
import os, resource, sys, time
import eryx

def attempt(what, call):
    try:
        call()
        print(what, "works", flush=True)
    except eryx.HostResourceError as error:
        print(what, "lacks", error.resource, "--", error, flush=True)
    except BaseException as error:
        print(what, type(error).__name__, "--", error, flush=True)

def limit(which, size):
    resource.setrlimit(which, (size, resource.getrlimit(which)[1]))

def run():
    assert eryx.Sandbox().execute("print(6 * 7)").stdout == "42\\n"

def session():
    with eryx.Sandbox().session() as session:
        session.execute("x = 6")
        assert session.execute("print(x * 7)").stdout == "42\\n"

def build():
    factory = eryx.SandboxFactory(setup_code=f"x = {time.time_ns()}", cache_dir=os.environ["CACHE"])
    factory.create_sandbox().execute("print(x)")

def descriptors_left(number):
    held = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    for _ in range(number):
        os.close(held.pop())
    return held

def refuse(call):
    # Installs a seccomp(2) filter that makes a system call, given by its x86-64 number, fail.
    import ctypes, struct
    libc = ctypes.CDLL(None, use_errno=True)
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    filter = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, filter, 0, 0) == 0

MEMFD_CREATE, RT_SIGACTION = 319, 13
"""


def is_root() -> bool:
    return os.geteuid() == 0


def may_mount() -> bool:
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@dataclass
class Row:
    """A missing resource, and the expected outcome."""

    missing: str
    #: The program to run after the preamble.
    program: str
    #: A pattern for each line of its output.
    outcomes: list[str]
    #: The command that runs the interpreter, if any.
    wrapper: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    needs: tuple[Callable[[], bool], str] | None = None


ROOT = (is_root, "only root can switch to another user, whose threads can be limited")
X86_64 = (lambda: platform.machine() == "x86_64", "needs the system call numbers of x86-64")
MOUNTS = (may_mount, "needs a mount namespace")

WORKS = r"works"
DESCRIPTORS = r"lacks file descriptors -- .*(Too many open files|No file descriptors available).*"
MEMORY = r"lacks memory -- .*ulimit -v.* is 3906250.*4 GiB.*"
THREADS = r"lacks threads -- .*"

TABLE = [
    Row("nothing", "attempt('run', run); attempt('session', session)", [WORKS, WORKS]),
    *(
        Row(
            f"descriptors: {number} in all",
            f"limit(resource.RLIMIT_NOFILE, {number}); attempt('run', run); attempt('session', session)",
            [f"({WORKS}|{DESCRIPTORS})"] * 2,
        )
        for number in range(3, 33)
    ),
    *(
        Row(
            f"descriptors: {number} left while sandboxes are in use",
            f"run(); limit(resource.RLIMIT_NOFILE, 64); held = descriptors_left({number})\n"
            "attempt('run', run); attempt('session', session)\n"
            "for descriptor in held: os.close(descriptor)\n"
            "attempt('run', run)",
            [f"({WORKS}|{DESCRIPTORS})", f"({WORKS}|{DESCRIPTORS})", WORKS],
        )
        for number in range(4)
    ),
    Row(
        "descriptors for a factory",
        "run(); limit(resource.RLIMIT_NOFILE, 64); held = descriptors_left(0)\nattempt('build', build)",
        [r"lacks file descriptors -- .*`ulimit -n` is 64.*"],
    ),
    Row(
        "descriptors, until the limit is raised",
        "limit(resource.RLIMIT_NOFILE, 5); attempt('run', run)\n"
        "limit(resource.RLIMIT_NOFILE, 256); attempt('run', run)",
        [DESCRIPTORS, WORKS],
    ),
    Row(
        "address space",
        "limit(resource.RLIMIT_AS, 4_000_000_000); attempt('run', run)",
        [MEMORY],
    ),
    Row(
        "address space for a pool",
        "limit(resource.RLIMIT_AS, 20_000_000_000); attempt('run', run); attempt('session', session)",
        [WORKS, WORKS],
    ),
    Row(
        "data",
        "run()\n"
        "used = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmData'))\n"
        "limit(resource.RLIMIT_DATA, int(used) * 1024 + 2**20)\n"
        "open_sessions = []\n"
        "def fill():\n"
        "    for _ in range(400): open_sessions.append(eryx.Sandbox().session())\n"
        "attempt('fill', fill); open_sessions.clear()\n"
        "limit(resource.RLIMIT_DATA, -1); attempt('run', run)",
        [rf"({WORKS}|lacks memory -- .*ulimit -d.*)", WORKS],
    ),
    Row(
        "size of files",
        "limit(resource.RLIMIT_FSIZE, 2**20); attempt('run', run); attempt('build', build)",
        [WORKS, r"lacks file size -- .*1048576.*"],
    ),
    Row(
        "threads, from the start",
        "os.setuid(54321); limit(resource.RLIMIT_NPROC, 1)\n"
        "attempt('run', run); attempt('session', session)",
        [THREADS, THREADS],
        needs=ROOT,
    ),
    Row(
        "threads, while sandboxes are in use",
        "os.setuid(54322); run(); limit(resource.RLIMIT_NPROC, 1)\n"
        "attempt('run', run); attempt('session', session); attempt('build', build)\n"
        "limit(resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC)[1]); attempt('run', run)",
        [WORKS, WORKS, THREADS, WORKS],
        needs=ROOT,
    ),
    Row(
        "temporary folder",
        "attempt('run', run); attempt('build', build)",
        [WORKS, WORKS],
        environment={"TMPDIR": "/nowhere"},
    ),
    Row(
        "/proc",
        "attempt('run', run); attempt('session', session); attempt('build', build)",
        [WORKS, WORKS, WORKS],
        wrapper=[
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs none /proc && exec "$0" "$@"',
        ],
        needs=MOUNTS,
    ),
    Row(
        "files in memory",
        "refuse(MEMFD_CREATE); attempt('run', run); attempt('session', session); attempt('build', build)",
        [WORKS, WORKS, WORKS],
        needs=X86_64,
    ),
    Row(
        "handlers of signals, from the start",
        "refuse(RT_SIGACTION); attempt('run', run)",
        [r"lacks signal handlers -- .*SIGSEGV.*"],
        needs=X86_64,
    ),
    Row(
        "handlers of signals, while sandboxes are in use",
        "import signal\nrun(); signal.signal(signal.SIGILL, signal.SIG_DFL); refuse(RT_SIGACTION)\n"
        "attempt('run', run)",
        [r"lacks signal handlers -- .*SIGSEGV.*"],
        needs=X86_64,
    ),
    Row(
        "descriptors that other code closed, whose numbers were reused",
        "sandbox = eryx.Sandbox()\n"
        "os.closerange(3, 256)\n"
        "held = [os.open(sys.executable, os.O_RDONLY) for _ in range(64)]\n"
        "attempt('run', lambda: sandbox.execute('pass'))",
        [r"lacks file descriptors -- .*closed.*"],
    ),
    Row(
        "descriptors, in a process that becomes a daemon after a sandbox was made",
        "sandbox = eryx.Sandbox()\n"
        "if os.fork() == 0:\n"
        "    os.closerange(3, 256); os.setsid(); attempt('run', lambda: sandbox.execute('pass')); os._exit(0)\n"
        "os.wait()",
        [r"lacks file descriptors -- .*daemon.*"],
    ),
    Row(
        "descriptors, in a process that becomes a daemon after a program was run",
        "run()\n"
        "if os.fork() == 0:\n"
        "    os.closerange(3, 256); os.setsid(); attempt('run', run); os._exit(0)\n"
        "os.wait()",
        [r"lacks file descriptors -- .*daemon.*"],
    ),
    Row(
        "descriptors, in a process that becomes a daemon before",
        "if os.fork() == 0:\n"
        "    os.closerange(3, 256); os.setsid(); attempt('run', run); os._exit(0)\n"
        "os.wait()",
        [WORKS],
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=[row.missing for row in TABLE])
def test_missing_resource_is_tolerated_or_named_in_the_error(row, tmp_path):
    if row.needs is not None and not row.needs[0]():
        pytest.skip(row.needs[1])
    completed = subprocess.run(
        [*row.wrapper, sys.executable, "-c", PREAMBLE + row.program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "CACHE": str(tmp_path / "cache"), **row.environment},
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert completed.stderr == ""
    lines = completed.stdout.splitlines()
    assert len(lines) == len(row.outcomes), completed.stdout
    for line, outcome in zip(lines, row.outcomes):
        assert re.fullmatch(r"\w+ " + outcome, line), line
