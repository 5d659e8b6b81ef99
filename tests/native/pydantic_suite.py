"""pydantic's own tests in sandboxes, with the pydantic-core that `cargo xtask native` builds.

`pydantic_suite.py --source FOLDER --wheels FOLDER…` runs the files of the tests of an unpacked
source, each in a sandbox of its own, and prints the numbers of passed, failed and skipped tests. It
exits with status 1 if a test fails that `pydantic_skipped.txt` does not list with a reason, or if a
listed test does not exist."""

from __future__ import annotations

import argparse
import asyncio
import atexit
import collections
import fnmatch
import glob
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time

import eryx

HERE = pathlib.Path(__file__).parent
GUEST = (HERE / "pydantic_guest.py").read_text()
# Folders that run other programs (mypy), or measure.
OTHER_FOLDERS = ("mypy", "typechecking", "benchmarks")


def read_skipped(path: pathlib.Path) -> dict[str, str]:
    """Return the reasons of skipped tests. A heading is the reason of the tests below it."""
    reasons: dict[str, str] = {}
    reason = ""
    for line in path.read_text().splitlines():
        if heading := re.fullmatch(r"\[(.+)\]", line):
            reason = heading[1]
        elif line and not line.startswith("#"):
            if not reason or line in reasons:
                raise ValueError(f"{path}: without a reason, or twice: {line}")
            reasons[line] = reason
    return reasons


def make_factory(source: pathlib.Path, wheels: list[str]) -> eryx.SandboxFactory:
    """Return a factory with pydantic, pytest, and the tests of the source."""
    # A package is read as long as its factory exists.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="eryx-pydantic-"))
    atexit.register(shutil.rmtree, directory)
    ignored = shutil.ignore_patterns(*OTHER_FOLDERS, "*.sh")
    shutil.copytree(source / "tests", directory / "tests", ignore=ignored)
    return eryx.SandboxFactory(
        packages=[*wheels, directory], imports=["pydantic", "pytest", "jsonschema"]
    )


async def run_file(factory: eryx.SandboxFactory, name: str, skipped: list[str]) -> dict[str, str]:
    """Run a file of tests. Return the outcome of each test: "passed", or why it did not."""
    limits = eryx.ResourceLimits(execution_timeout_ms=400_000, max_memory_bytes=2**30)
    sandbox = factory.create_sandbox(resource_limits=limits)
    constants = f"FILE = {name!r}\nSKIPPED = {skipped!r}\n"
    try:
        result = await sandbox.aexecute(constants + GUEST)
    except eryx.EryxError as error:
        details = getattr(error, "traceback", None) or repr(error)
        return {f"{name}::": f"ended: {details}\n{error.stdout[-2000:]}{error.stderr[-2000:]}"}
    try:
        outcomes: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return {f"{name}::": f"printed {result.stdout[-3000:]}{result.stderr[-2000:]}"}
    if whole := outcomes.get(f"{name}::"):
        outcomes[f"{name}::"] = whole + result.stderr[-2000:]
    return outcomes


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="the unpacked source")
    parser.add_argument("--wheels", nargs="+", required=True, help="folders with the packages")
    parser.add_argument("only", nargs="*", help="names of files, such as test_main.py")
    args = parser.parse_args()
    skipped = read_skipped(HERE / "pydantic_skipped.txt")
    wheels = sorted(wheel for folder in args.wheels for wheel in glob.glob(f"{folder}/*.whl"))
    tests = args.source / "tests"
    files = sorted(
        path.relative_to(tests).as_posix()
        for path in tests.rglob("test_*.py")
        if path.relative_to(tests).parts[0] not in OTHER_FOLDERS
    )
    files = [file for file in files if not args.only or file in args.only]
    factory = await asyncio.to_thread(make_factory, args.source, wheels)
    total: collections.Counter[str] = collections.Counter()
    failures: dict[str, str] = {}
    reasons: collections.Counter[str] = collections.Counter()
    used: set[str] = set()
    for file in files:
        listed = [test for test in skipped if test.split("::")[0] == file]
        start = time.monotonic()
        outcomes = {} if file in listed else await run_file(factory, file, listed)
        counts = collections.Counter(outcome.split(":")[0] for outcome in outcomes.values())
        for test, outcome in outcomes.items():
            if outcome == "listed":
                entry = next(name for name in listed if fnmatch.fnmatchcase(test, escaped(name)))
                used.add(entry)
                reasons[skipped[entry]] += 1
            elif outcome.startswith("skipped:"):
                reasons[f"by itself: {outcome.partition(':')[2]}"] += 1
            elif outcome != "passed":
                failures[test] = outcome
        if file in listed:
            used.add(file)
            counts["files listed"] = 1
        total += counts
        shown = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        print(f"{time.monotonic() - start:6.1f} s {file}: {shown}", flush=True)
    for test, outcome in failures.items():
        print(f"FAILED {test}: {outcome}")
    for reason, number in reasons.most_common():
        print(f"{number:5} skipped: {reason}")
    unknown = [] if args.only else sorted(skipped.keys() - used)
    for test in unknown:
        print(f"pydantic_skipped.txt lists {test}, which does not exist")
    print(", ".join(f"{number} {outcome}" for outcome, number in sorted(total.items())))
    return 1 if failures or unknown else 0


def escaped(test: str) -> str:
    """Return the pattern of a listed test: `*` at the end stands for the rest of a name."""
    return glob.escape(test.removesuffix("*")) + ("*" if test.endswith("*") else "")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
