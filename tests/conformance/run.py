"""Runs CPython's own tests in sandboxes: `run.py --work FOLDER`.

Prints what passed, failed and was skipped in each file. Exits with 1 if a test that `skipped.txt`
does not list fails or skips itself, and if it lists one that does not exist. Of another CPython's
tests (`--suite FOLDER`), skips are only reported.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import eryx
import fetch
from skipped import Skipped

HERE = Path(__file__).parent
FILES = [line for line in (HERE / "files.txt").read_text().splitlines() if line]

# What the guest's half writes before what is meant for us, between fields, and for a line feed.
MARK, BETWEEN, LINE_FEED = "\x1e", "\x1f", "\x1d"

# For a file's tests together. After that the rest is run without the one that hangs.
LIMIT_MS = 40_000

# As many as that, and a file is given up.
HUNG = 5

LIMITS = eryx.ResourceLimits(
    execution_timeout_ms=LIMIT_MS,
    max_memory_bytes=1 << 29,
    max_output_bytes=1 << 26,
    max_host_memory_bytes=1 << 28,
)


@dataclass
class Report:
    """What became of the tests of one file."""

    module: str
    found: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    # What is wrong apart from single tests.
    faults: list[str] = field(default_factory=list)

    def take(self, output: str) -> str | None:
        """Note what a sandbox said. Returns the test that was running when it fell silent."""
        running: str | None = None
        done = False
        for line in output.split("\n"):
            if not line.startswith(MARK):
                continue
            kind, *fields = line[1:].replace(LINE_FEED, "\n").split(BETWEEN)
            if kind == "found":
                self.found.add(fields[0])
            elif kind == "start":
                running = fields[0]
            elif kind == "end":
                running = None
                self._note(*fields)
            elif kind == "fixture" and fields[1] == "failed":
                self.faults.append(f"{fields[0]}\n{fields[2]}")
            elif kind == "done":
                done = True
        if running is None and not done:
            self.faults.append("the run broke off outside any test")
        return running

    def _note(self, test: str, outcome: str, detail: str) -> None:
        if outcome == "passed":
            self.passed.add(test)
        else:
            (self.failed if outcome == "failed" else self.skipped)[test] = detail


def run(
    factory: eryx.SandboxFactory,
    module: str,
    listed: Skipped,
    port: int,
    *,
    only: str | None = None,
    strict: bool = True,
) -> Report:
    """Run a file's tests, in as many sandboxes as it takes.

    `strict` makes a fault of each skip that is not listed and of each entry without a test.
    """
    report = Report(module)
    hung = 0
    while True:
        settled = {*report.passed, *report.failed, *report.skipped}
        output, error = execute(factory, module, listed, settled, only, port)
        running = report.take(output)
        if running is None:
            if report.faults:
                report.faults.append(error)
            break
        report.failed[running] = f"it did not end\n{error}"
        print(f"{running} did not end", file=sys.stderr, flush=True)
        hung += 1
        if hung == HUNG:
            report.faults.append(f"{hung} tests did not end: the rest is not run")
            break
    for test in list(report.found):
        if only is None and (reason := listed.reason(test)):
            report.skipped[test] = reason
    if only is None and strict:
        for test, reason in report.skipped.items():
            if not listed.reason(test):
                report.faults.append(f"{test} skips itself, which is not listed: {reason}")
        stale = listed.stale(module, report.found)
        report.faults += [f"skipped.txt lists {name}, and there is no such test" for name in stale]
    if only is None:
        for test in sorted(report.found - {*report.passed, *report.failed, *report.skipped}):
            report.faults.append(f"{test} did not run")
    return report


def execute(
    factory: eryx.SandboxFactory,
    module: str,
    listed: Skipped,
    settled: set[str],
    only: str | None,
    port: int,
) -> tuple[str, str]:
    """Run what is left of a file in a sandbox. Returns what it printed, and its errors."""
    left_out = sorted(settled)
    patterns = sorted(listed.reasons) if only is None else []
    program = (
        "import conformance_run\n"
        f"conformance_run.run({module!r}, {left_out!r}, {patterns!r}, {only!r}, {port})\n"
    )
    sandbox = factory.create_sandbox(network=network(), resource_limits=LIMITS)
    try:
        result = sandbox.execute(program)
    except eryx.EryxError as error:
        return getattr(
            error, "stdout", ""
        ), f"{getattr(error, 'traceback', error)}\n{getattr(error, 'stderr', '')[-3000:]}"
    return result.stdout, result.stderr[-3000:]


@contextlib.contextmanager
def host_half(python: str, suite: Path, wheels: list[Path]) -> Iterator[int]:
    """Start what makes the suite's servers. Gives the port it listens on."""
    command = [python, HERE / "host" / "half.py", suite]
    path = os.pathsep.join(map(str, wheels))
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if "--verbose" in sys.argv else subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


def interpreter_of(suite: Path) -> str:
    """The interpreter that another CPython's tests are for, or else the one that runs this."""
    path = suite.resolve()
    if version := re.search(r"/lib/(python3\.\d+)/", f"{path}/"):
        beside = Path(str(path)[: version.start()], "bin", version[1])
        if found := shutil.which(beside) or shutil.which(version[1]):
            return found
    return sys.executable


def network() -> eryx.NetConfig:
    """Loopback, where the host's halves of the tests are; the suite has certificates of its own."""
    return eryx.NetConfig(
        allowed_hosts=["localhost", "127.0.0.1", "::1"],
        allow_localhost=True,
        allowed_udp=["localhost:1-65535", "127.0.0.1:1-65535", "[::1]:1-65535"],
        allow_unverified_tls=True,
        max_connections=64,
        connect_timeout_ms=10_000,
    )


def shown(report: Report) -> Iterator[str]:
    """The failures of a file, for a person to read."""
    for test, detail in sorted(report.failed.items()):
        yield f"FAILED {test}\n{detail}"
    for fault in report.faults:
        yield f"FAULT {report.module}: {fault}"


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--suite", type=Path, help="another CPython's tests: its folder `test`")
    parser.add_argument("--python", help="the interpreter for the host's half of such tests")
    parser.add_argument("--only", help="run the tests with this in their names, listed or not")
    parser.add_argument("--all", action="store_true", help="run what is listed, too")
    parser.add_argument("--verbose", action="store_true", help="show what the host's half says")
    parser.add_argument("--reasons", action="store_true", help="say how many each reason skips")
    parser.add_argument("files", nargs="*", default=FILES)
    args = parser.parse_args()

    listed = Skipped.read()
    faults = [
        f"skipped.txt lists {entry}, of a file that is not run"
        for entry in sorted(listed.reasons)
        if not entry.startswith(tuple(f + "." for f in FILES))
    ]
    python = args.python or sys.executable
    if args.suite is None:
        suite = args.work / "suite"
        fetch.fetch(suite)
    else:
        suite = args.work / "other-suite"
        fetch.adopt(args.suite, suite, args.files)
        listed = listed.of_another_suite()
        python = args.python or interpreter_of(args.suite)
    if args.all:
        listed = Skipped({})
    wheels = sorted((args.work / "libraries").glob("*.whl"))
    factory = eryx.SandboxFactory(
        packages=[suite, *wheels, HERE / "guest"], imports=["conformance_run"]
    )
    strict = args.suite is None and not args.all

    def run_file(module: str) -> Report:
        # One for each: servers of several files would share what belongs to a process.
        with host_half(python, suite, wheels) as port:
            return run(factory, module, listed, port, only=args.only, strict=strict)

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(run_file, args.files))
    print(f"{'file':34} {'tests':>6} {'passed':>7} {'failed':>7} {'skipped':>8}")
    totals = [0, 0, 0, 0]
    for report in reports:
        row = [len(s) for s in (report.found, report.passed, report.failed, report.skipped)]
        totals = [a + b for a, b in zip(totals, row, strict=True)]
        print(f"{report.module:34} {row[0]:6} {row[1]:7} {row[2]:7} {row[3]:8}")
    print(f"{'all':34} {totals[0]:6} {totals[1]:7} {totals[2]:7} {totals[3]:8}")
    if args.reasons:
        print_reasons(reports)
    for report in reports:
        for text in (*shown(report),):
            faults.append(text)
    for text in faults:
        print("\n" + text, file=sys.stderr)
    return 1 if faults else 0


def print_reasons(reports: list[Report]) -> None:
    """Say why how many tests are skipped, the most frequent reason first."""
    counts: dict[str, int] = {}
    for report in reports:
        for reason in report.skipped.values():
            counts[reason] = counts.get(reason, 0) + 1
    print()
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{count:6} {reason}")


if __name__ == "__main__":
    raise SystemExit(main())
