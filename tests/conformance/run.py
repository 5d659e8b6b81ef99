"""Runs CPython's own tests in sandboxes: `run.py --work FOLDER`.

Prints the numbers of passed, failed and skipped tests of each file. Exits with 1 if a test that
`skipped.txt` does not list fails or skips itself, or if it lists a test that does not exist. Skips
of another CPython's tests (`--suite FOLDER`) are only reported.
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

# The guest side writes these before its messages, between fields, and instead of a line feed.
MARK, BETWEEN, LINE_FEED = "\x1e", "\x1f", "\x1d"

# The timeout of a file's tests together. Then the rest runs without the test that hangs.
TIMEOUT_MS = 40_000

# After this number of hanging tests, the rest of a file is not run.
MAX_HUNG = 5

LIMITS = eryx.ResourceLimits(
    execution_timeout_ms=TIMEOUT_MS,
    max_memory_bytes=1 << 29,
    max_output_bytes=1 << 26,
    max_host_memory_bytes=1 << 28,
)


@dataclass
class Report:
    """The results of the tests of one file."""

    module: str
    found: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    # Problems that do not belong to a single test.
    faults: list[str] = field(default_factory=list)

    def parse(self, output: str) -> str | None:
        """Record the output of a sandbox. Returns the test that was running at its end, if any."""
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
                self._record(*fields)
            elif kind == "fixture" and fields[1] == "failed":
                self.faults.append(f"{fields[0]}\n{fields[2]}")
            elif kind == "done":
                done = True
        if running is None and not done:
            self.faults.append("the run ended outside of any test")
        return running

    def _record(self, test: str, outcome: str, detail: str) -> None:
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
    """Run the tests of a file, in as many sandboxes as necessary.

    With `strict`, unlisted skips and entries without a test are faults.
    """
    report = Report(module)
    hung = 0
    while True:
        finished = {*report.passed, *report.failed, *report.skipped}
        output, error = execute(factory, module, listed, finished, only, port)
        running = report.parse(output)
        if running is None:
            if report.faults:
                report.faults.append(error)
            break
        report.failed[running] = f"it did not end\n{error}"
        print(f"{running} did not end", file=sys.stderr, flush=True)
        hung += 1
        if hung == MAX_HUNG:
            report.faults.append(f"{hung} tests did not end, so the rest is not run")
            break
    for test in list(report.found):
        if only is None and (reason := listed.reason(test)):
            report.skipped[test] = reason
    if only is None and strict:
        for test, reason in report.skipped.items():
            if not listed.reason(test):
                report.faults.append(f"{test} skips itself and is not listed: {reason}")
        stale = listed.stale(module, report.found)
        report.faults += [f"skipped.txt lists {name}, which does not exist" for name in stale]
    if only is None:
        for test in sorted(report.found - {*report.passed, *report.failed, *report.skipped}):
            report.faults.append(f"{test} did not run")
    return report


def execute(
    factory: eryx.SandboxFactory,
    module: str,
    listed: Skipped,
    finished: set[str],
    only: str | None,
    port: int,
) -> tuple[str, str]:
    """Run the remaining tests of a file in a sandbox. Returns its output and its errors."""
    excluded = sorted(finished)
    patterns = sorted(listed.reasons) if only is None else []
    program = (
        "import conformance_run\n"
        f"conformance_run.run({module!r}, {excluded!r}, {patterns!r}, {only!r}, {port})\n"
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
def host_side(python: str, suite: Path, wheels: list[Path]) -> Iterator[int]:
    """Run the process that starts the suite's servers. Returns the port it listens on."""
    command = [python, HERE / "host" / "host_side.py", suite]
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
    """Return the interpreter that a suite belongs to, or else the one that runs this program."""
    path = suite.resolve()
    if version := re.search(r"/lib/(python3\.\d+)/", f"{path}/"):
        beside = Path(str(path)[: version.start()], "bin", version[1])
        if found := shutil.which(beside) or shutil.which(version[1]):
            return found
    return sys.executable


def network() -> eryx.NetConfig:
    """Return a network with loopback, where the host side listens, and with unverified TLS, since
    the suite has its own certificates."""
    return eryx.NetConfig(
        # The others are server names of TLS on loopback.
        allowed_hosts=[
            *("localhost", "127.0.0.1", "::1"),
            *("localhost-ecc", "dummy", "invalid", "supermessage", "*.pythontest.net"),
            "python.example.org",
        ],
        allow_localhost=True,
        allowed_udp=["localhost:1-65535", "127.0.0.1:1-65535", "[::1]:1-65535"],
        allow_unverified_tls=True,
        max_connections=64,
        connect_timeout_ms=10_000,
    )


def failure_texts(report: Report) -> Iterator[str]:
    """Yield the failures of a file as text."""
    for test, detail in sorted(report.failed.items()):
        yield f"FAILED {test}\n{detail}"
    for fault in report.faults:
        yield f"FAULT {report.module}: {fault}"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--suite", type=Path, help="another CPython's tests: its folder `test`")
    parser.add_argument("--python", help="the interpreter of their host side")
    parser.add_argument("--only", help="run the tests with this in their names, listed or not")
    parser.add_argument("--all", action="store_true", help="run listed tests, too")
    parser.add_argument("--verbose", action="store_true", help="show the errors of the host side")
    parser.add_argument(
        "--reasons", action="store_true", help="print the number of tests that each reason skips"
    )
    parser.add_argument("files", nargs="*", default=FILES)
    args = parser.parse_args()

    listed = Skipped.read()
    faults = [
        f"skipped.txt lists {entry}, but its file is not run"
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
        listed = listed.for_another_suite()
        python = args.python or interpreter_of(args.suite)
    if args.all:
        listed = Skipped({})
    wheels = sorted((args.work / "libraries").glob("*.whl"))
    factory = eryx.SandboxFactory(
        packages=[suite, *wheels, HERE / "guest"], imports=["conformance_run"]
    )
    strict = args.suite is None and not args.all

    def run_file(module: str) -> Report:
        # A process for each file: servers of several files would share global state.
        with host_side(python, suite, wheels) as port:
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
        for text in (*failure_texts(report),):
            faults.append(text)
    for text in faults:
        print("\n" + text, file=sys.stderr)
    return 1 if faults else 0


def print_reasons(reports: list[Report]) -> None:
    """Print the number of skipped tests of each reason, the most frequent first."""
    counts: dict[str, int] = {}
    for report in reports:
        for reason in report.skipped.values():
            counts[reason] = counts.get(reason, 0) + 1
    print()
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{count:6} {reason}")


if __name__ == "__main__":
    raise SystemExit(main())
