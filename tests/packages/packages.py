"""Popular packages of the package index in sandboxes: each is imported, and some are used.

`packages.py --wheels FOLDER` imports every package of `packages.toml`, runs the programs of
`programs/`, and prints a table. It exits with status 1 if a package behaves otherwise than the list
says, or if the table differs from the one in the file of `--check`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import glob
import pathlib
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator

import eryx

import servers
from matrix import versions, write_table
from server_dir import HOST, ServerDir

HERE = pathlib.Path(__file__).parent
HEAD = "| package | version | import | use | |\n|---|---|---|---|---|\n"
YES = "yes"
NATIVE = "with native wheels"
NONE = "-"
FAILED = "FAILED"


@dataclasses.dataclass(frozen=True)
class Package:
    """An entry of `packages.toml`."""

    name: str
    modules: tuple[str, ...]
    program: str | None
    # What it needs of `cargo xtask native`.
    native: tuple[str, ...]
    error: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Row:
    """The results of a package."""

    name: str
    version: str
    imported: str
    used: str
    reason: str

    def line(self) -> str:
        cells = (self.name, self.version, self.imported, self.used, self.reason)
        return f"| {' | '.join(cells)} |\n"


def read_packages() -> list[Package]:
    entries = tomllib.loads((HERE / "packages.toml").read_text())
    packages = []
    for name, entry in entries.items():
        program = None
        if entry.pop("program", False):
            program = (HERE / "programs" / f"{name}.py").read_text()
        modules = tuple(entry.pop("import", name.replace("-", "_")).split())
        native = tuple(entry.pop("native", "").split())
        error, reason = entry.pop("error", ""), entry.pop("reason", "")
        if native:
            error, reason = "No module named", f"needs {' and '.join(native)}"
        if entry or bool(error) != bool(reason):
            raise ValueError(f"packages.toml: {name} has other keys: {', '.join(entry)}")
        packages.append(Package(name, modules, program, native, error, reason))
    return packages


class Packages:
    """Sandboxes with all packages, none of which is imported in their snapshot."""

    def __init__(self, wheels: list[str], native: list[str], port: int) -> None:
        self.versions = versions(wheels)
        self.factory = eryx.SandboxFactory(packages=wheels)
        self.native = versions(native)
        pure = [wheel for wheel in wheels if not set(versions([wheel])) & set(self.native)]
        # The packages of the other factory, with native ones in place of those that are pure here.
        self.native_factory = eryx.SandboxFactory(packages=pure + native) if native else None
        self.skipped: list[str] = []
        self.port = port
        self.network = eryx.NetConfig(hosts={HOST: ["127.0.0.1"]}).allow_internal_host(HOST)
        self.limits = eryx.ResourceLimits(execution_timeout_ms=120_000, max_memory_bytes=2**29)
        self.failures: list[str] = []

    async def row(self, package: Package) -> Row:
        start = time.monotonic()
        imported = await self.imports(package)
        used = NONE
        if package.program:
            prelude = f"HOST, PORT = {HOST!r}, {self.port}\n"
            failure = await self.run(prelude + package.program)
            used = FAILED if failure else YES
            if failure:
                self.failures.append(f"{package.name}, its program: {failure}")
        row = Row(
            package.name,
            self.versions.get(package.name, NONE),
            imported,
            used,
            package.reason if imported in (NONE, NATIVE) else "",
        )
        print(f"{time.monotonic() - start:5.1f} s {row.line()}", end="", file=sys.stderr)
        return row

    async def imports(self, package: Package) -> str:
        """Return whether a sandbox imports the package. Other results than the list's are kept."""
        failure = await self.run("".join(f"import {module}\n" for module in package.modules))
        if package.error:
            if failure and package.error in failure:
                return await self.imports_native(package) if package.native else NONE
            failure = failure or f"its modules can be imported, although it {package.reason}"
        if failure:
            self.failures.append(f"{package.name}, its import: {failure}")
            return FAILED
        return YES

    async def imports_native(self, package: Package) -> str:
        """Return whether a sandbox with native packages imports the package."""
        if missing := set(package.native) - set(self.native):
            self.skipped.append(f"{package.name}: needs `cargo xtask native {' '.join(missing)}`")
            return NATIVE
        program = "".join(f"import {module}\n" for module in package.modules)
        if failure := await self.run(program, self.native_factory):
            self.failures.append(f"{package.name}, its import with native wheels: {failure}")
            return FAILED
        return NATIVE

    async def run(self, program: str, factory: eryx.SandboxFactory | None = None) -> str | None:
        """Run a program, and return the reason if it failed."""
        factory = factory or self.factory
        sandbox = factory.create_sandbox(network=self.network, resource_limits=self.limits)
        try:
            await sandbox.aexecute(program)
        except eryx.EryxError as error:
            details = getattr(error, "traceback", None) or repr(error)
            return f"{error.stdout}{error.stderr}{details}"
        return None


@contextlib.asynccontextmanager
async def aws() -> AsyncIterator[int]:
    """The services that the programs use, of moto, on a port of this machine."""
    with tempfile.TemporaryDirectory(prefix="eryx-packages-") as directory:
        async with servers.s3(ServerDir(pathlib.Path(directory))) as (port, _tls):
            yield port


def differences(file: pathlib.Path, rows: list[Row]) -> list[str]:
    """Return the rows that the table in `file` does not have."""
    lines = set(file.read_text().splitlines(keepends=True))
    return [row.line() for row in rows if row.line() not in lines]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", nargs="+", required=True, help="folders with the packages")
    parser.add_argument("--native", help="the folder that `cargo xtask native` filled")
    parser.add_argument("only", nargs="*", help="names of packages, instead of all")
    parser.add_argument("--half", action="store_true", help="every second package")
    parser.add_argument("--check", type=pathlib.Path, help="compare with this file's table")
    parser.add_argument("--write", type=pathlib.Path, help="put the table into this file")
    args = parser.parse_args()
    packages = read_packages()
    if unknown := set(args.only) - {package.name for package in packages}:
        parser.error(f"there are no packages called {', '.join(sorted(unknown))}")
    chosen = [package for package in packages if not args.only or package.name in args.only]
    if args.half:
        # Those with programs, too.
        chosen = [p for n, p in enumerate(packages) if n % 2 == 0 or p.program]
    wheels = sorted(wheel for folder in args.wheels for wheel in glob.glob(f"{folder}/*.whl"))
    native = sorted(glob.glob(f"{args.native}/*.whl")) if args.native else []
    async with aws() as port:
        sandboxes = await asyncio.to_thread(Packages, wheels, native, port)
        rows = [await sandboxes.row(package) for package in chosen]
    print(HEAD + "".join(row.line() for row in rows))
    for failure in sandboxes.failures:
        print(failure, file=sys.stderr)
    for reason in sandboxes.skipped:
        print(f"SKIPPED: {reason}")
    imported = sum(row.imported in (YES, NATIVE) for row in rows)
    used = sum(row.used == YES for row in rows)
    print(
        f"{imported} of {len(rows)} packages can be imported; {used} programs that use one work; "
        f"{len(sandboxes.failures)} results are not those of packages.toml"
    )
    if args.write:
        write_table(args.write, HEAD + "".join(row.line() for row in rows))
    if args.check and (lines := differences(args.check, rows)):
        print(f"{args.check} lacks these rows, which `cargo xtask packages --write` updates:")
        print("".join(lines))
        return 1
    return 1 if sandboxes.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
