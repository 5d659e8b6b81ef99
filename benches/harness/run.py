"""Measures sandboxes beside the host's own interpreter and beside a peer.

`cargo xtask bench` builds what this needs, and runs it."""

from __future__ import annotations

import argparse
import contextlib
import glob
import pathlib
import resource
import shutil
import sys
import zipfile

import document
import machine
import servers
import sizes
from columns import Column
from report import Report
from rounds import Rounds
from scenes import COLUMNS, GROUPS, NATIVE, SCENES
from settings import Settings

# Enough to see whether everything runs.
QUICK = 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", required=True, help="the program that serves")
    parser.add_argument("--python", action="append", default=[], metavar="COLUMN=PATH")
    parser.add_argument("--missing", action="append", default=[], metavar="COLUMN=WHY")
    parser.add_argument("--wheel", action="append", default=[], metavar="COLUMN=PATH")
    parser.add_argument("--image", type=pathlib.Path, required=True, help="the image's folder")
    parser.add_argument("--libraries", required=True, help="a folder of wheels")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--write", type=pathlib.Path, help="the page to put the table into")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds")
    parser.add_argument("--note", default="", help="something to know of this run")
    parser.add_argument("--groups", nargs="*", default=GROUPS, choices=GROUPS, metavar="GROUP")
    return parser.parse_args()


def pairs(texts: list[str]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in texts)


def trusted(authority: str, wheels: list[str], folder: pathlib.Path) -> str:
    """A file with the roots that a sandbox trusts: Mozilla's, and the servers' own."""
    [wheel] = [wheel for wheel in wheels if pathlib.Path(wheel).name.startswith("certifi-")]
    with zipfile.ZipFile(wheel) as archive:
        roots = archive.read("certifi/cacert.pem").decode()
    file = folder / "roots.pem"
    file.write_text(roots + authority)
    return str(file)


def main() -> int:
    args = arguments()
    # For the servers, too: a thousand connections have two ends.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    pythons, missing, packages = pairs(args.python), pairs(args.missing), pairs(args.wheel)
    wheels = sorted(glob.glob(f"{args.libraries}/*.whl"))
    scenes = [scene for scene in SCENES if scene.group in args.groups]
    rounds = Rounds()
    args.out.mkdir(parents=True, exist_ok=True)
    told = machine.described(pythons[NATIVE])
    told |= {column: pathlib.Path(wheel).name for column, wheel in packages.items()}
    count = QUICK if args.quick else args.rounds
    told["rounds"] = f"{count}{' ' + args.note if args.note else ''}"
    with servers.running(args.servers) as (process, served), contextlib.ExitStack() as stack:
        environment = {"SSL_CERT_FILE": trusted(served["authority"], wheels, args.out)}
        columns = []
        for name in COLUMNS:
            if name in missing:
                continue
            scratch = args.out / f"scratch-{name}"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(mode=0o700)
            settings = Settings(
                served["plain"], served["tls"], served["authority"], wheels, str(scratch)
            )
            column = Column(name, pythons[name], settings, environment, process)
            stack.callback(column.stop)
            columns.append(column)
        rounds.run(scenes, columns, count)
    sizes.add(rounds, scenes, pythons, packages, args.image)
    report = Report(scenes, rounds, told, missing)
    report.save(args.out)
    print(report.text())
    print(f"{args.out / 'report.json'} has every figure", file=sys.stderr)
    if args.write:
        document.put(args.write, report.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
