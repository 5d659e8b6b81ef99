"""Measures Eryx beside the native interpreter and beside pyeryx.

`cargo xtask bench` builds the inputs of this program and runs it."""

from __future__ import annotations

import argparse
import contextlib
import glob
import pathlib
import resource
import shutil
import sys
import zipfile

import artifact_sizes
import environment
import markdown_section
import nginx
import page_cache
import servers
from benchmarks import BENCHMARKS, GROUPS, NATIVE, SUBJECTS
from report import Report
from runner import Runner
from subjects import Subject
from worker_config import WorkerConfig

# The rounds of a quick run, which only shows that everything works.
QUICK_ROUNDS = 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", required=True, help="the server program")
    parser.add_argument("--python", action="append", default=[], metavar="SUBJECT=PATH")
    parser.add_argument("--missing", action="append", default=[], metavar="SUBJECT=REASON")
    parser.add_argument("--wheel", action="append", default=[], metavar="SUBJECT=PATH")
    parser.add_argument("--image", type=pathlib.Path, required=True, help="the image's folder")
    parser.add_argument("--libraries", required=True, help="a folder of wheels")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--write", type=pathlib.Path, help="the page to write the table to")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds")
    parser.add_argument("--note", default="", help="a note about this run")
    parser.add_argument("--groups", nargs="*", default=GROUPS, choices=GROUPS, metavar="GROUP")
    return parser.parse_args()


def pairs(texts: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def write_roots(ca: str, wheels: list[str], folder: pathlib.Path) -> str:
    """Write a file with the roots that a sandbox trusts: Mozilla's, and the servers' CA."""
    [wheel] = [wheel for wheel in wheels if pathlib.Path(wheel).name.startswith("certifi-")]
    with zipfile.ZipFile(wheel) as archive:
        roots = archive.read("certifi/cacert.pem").decode()
    file = folder / "roots.pem"
    file.write_text(roots + ca)
    return str(file)


def main() -> int:
    args = arguments()
    # The servers inherit the limit: a thousand connections need descriptors at both ends.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pythons, missing, packages = pairs(args.python), pairs(args.missing), pairs(args.wheel)
    wheels = sorted(glob.glob(f"{args.libraries}/*.whl"))
    benchmarks = [benchmark for benchmark in BENCHMARKS if benchmark.group in args.groups]
    runner = Runner()
    args.out.mkdir(parents=True, exist_ok=True)
    for python in pythons.values():
        # The folder of the subject's own environment.
        page_cache.drop(pathlib.Path(python).parent.parent)
    description = environment.describe(pythons[NATIVE])
    description |= {subject: pathlib.Path(wheel).name for subject, wheel in packages.items()}
    count = QUICK_ROUNDS if args.quick else args.rounds
    description["rounds"] = f"{count}{' ' + args.note if args.note else ''}"
    description["nginx"] = nginx.version()
    with contextlib.ExitStack() as stack:
        process, served = stack.enter_context(servers.running(args.servers))
        processes, ports = [process], None
        if any(group.startswith("nginx") for group in args.groups):
            try:
                certified = nginx.running(served["certificate"], served["key"], args.out / "nginx")
                other, ports = stack.enter_context(certified)
                processes.append(other)
            except nginx.MissingError as error:
                description["nginx"] = str(error)
                print(f"THE ROWS OF NGINX ARE NOT MEASURED: {error}", file=sys.stderr)
        variables = {"SSL_CERT_FILE": write_roots(served["ca"], wheels, args.out)}
        subjects = []
        for name in SUBJECTS:
            if name in missing:
                continue
            scratch = args.out / f"scratch-{name}"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(mode=0o700)
            config = WorkerConfig(
                served["plain"], served["tls"], served["ca"], wheels, str(scratch), ports
            )
            subject = Subject(name, pythons[name], config, variables, processes)
            stack.callback(subject.stop)
            subjects.append(subject)
        runner.run(benchmarks, subjects, count)
    artifact_sizes.measure(runner, benchmarks, pythons, packages, args.image)
    report = Report(benchmarks, runner, description, missing)
    report.save(args.out)
    print(report.text())
    print(f"all measurements are in {args.out / 'report.json'}", file=sys.stderr)
    if args.write:
        markdown_section.replace(args.write, report.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
