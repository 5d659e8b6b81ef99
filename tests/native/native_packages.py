"""Packages with modules in Rust and C in sandboxes: each is imported and used by a program.

`native_packages.py --wheels FOLDER… ` runs the programs of `programs/` with the wheels that
`cargo xtask native` builds, and pure ones. It exits with status 1 if a program fails."""

from __future__ import annotations

import argparse
import asyncio
import glob
import pathlib
import sys
import tempfile
import time

import eryx

from matrix import versions
from model_api import KEYS, model_api
from server_dir import HOST, ServerDir

HERE = pathlib.Path(__file__).parent
PROGRAMS = HERE / "programs"


def secrets() -> dict[str, eryx.Secret]:
    """Return the keys of the APIs, which no program sees."""
    return {name: eryx.Secret(value, hosts=[HOST]) for name, value in KEYS.items()}


async def run(factory: eryx.SandboxFactory, network: eryx.NetConfig, program: str) -> str | None:
    """Run a program, and return the reason if it failed."""
    limits = eryx.ResourceLimits(execution_timeout_ms=60_000, max_memory_bytes=2**29)
    sandbox = factory.create_sandbox(network=network, resource_limits=limits)
    try:
        result = await sandbox.aexecute(program)
    except eryx.EryxError as error:
        return f"{error.stdout}{error.stderr}{getattr(error, 'traceback', None) or repr(error)}"
    if any(key in result.stdout for key in KEYS.values()):
        return "the program has a key"
    return None if result.stdout.endswith("done\n") else f"printed {result.stdout!r}"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", nargs="+", required=True, help="folders with the packages")
    parser.add_argument("only", nargs="*", help="names of programs, instead of all")
    args = parser.parse_args()
    names = args.only or sorted(path.stem for path in PROGRAMS.glob("*.py"))
    wheels = sorted(wheel for folder in args.wheels for wheel in glob.glob(f"{folder}/*.whl"))
    known = versions(wheels)
    start = time.monotonic()
    factory = await asyncio.to_thread(eryx.SandboxFactory, packages=wheels)
    print(f"{time.monotonic() - start:5.1f} s factory of {len(wheels)} wheels", file=sys.stderr)
    failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="eryx-native-") as directory:
        server_dir = ServerDir(pathlib.Path(directory))
        async with model_api(server_dir) as port:
            network = (
                eryx.NetConfig(hosts={HOST: ["127.0.0.1"]}, secrets=secrets())
                .allow_internal_host(HOST)
                .with_root_cert(server_dir.ca)
            )
            for name in names:
                text = (PROGRAMS / f"{name}.py").read_text()
                # Its first line names the packages in Rust and C that it needs.
                needed = text.partition("\n")[0].removeprefix("# needs: ").split()
                if missing := [package for package in needed if package not in known]:
                    print(f"SKIPPED: {name}: `cargo xtask native {' '.join(missing)}` first")
                    skipped += 1
                    continue
                start = time.monotonic()
                failure = await run(
                    factory, network, f"URL = 'https://{HOST}:{port}'\n{text}\nprint('done')"
                )
                failed += failure is not None
                print(f"{time.monotonic() - start:5.1f} s {name}: {failure or 'yes'}")
    print(f"{len(names) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
