"""The build backend `maturin` for sandboxes: builds wheels of packages with a module in Rust.

`cargo xtask native` puts this folder on the search path of `pip wheel`, so that packages with this
backend are built by it (PEP 517). Cargo compiles the package to a static library, and the linker of
the modules in C makes a module of it: rustc cannot link shared libraries for WASI.

The environment has what setuptools reads for modules in C (`CC`, `LDSHARED`,
`SETUPTOOLS_EXT_SUFFIX`, `SOURCE_DATE_EPOCH`), and `CARGO`, `RUSTC` and `ERYX_NATIVE_DIR`, the
folder of this build.
"""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

TARGET = "wasm32-wasip1"
TAG = "cp314-cp314-wasm32_wasi"

# Link-time optimization over all crates: without it, each symbol of the standard library is
# exported, and nothing is left out. It also compiles the standard library to position-independent
# code. A panic ends the sandbox, as sandboxes have no exceptions of WebAssembly.
PROFILE = {
    "lto": '"fat"',
    "codegen-units": "1",
    "panic": '"abort"',
    "strip": "false",
    "debug": "false",
    "incremental": "false",
    "overflow-checks": "false",
}

# Of the interpreter in sandboxes, for the build script of PyO3.
PYO3_CONFIG = """\
implementation=CPython
version=3.14
shared=true
abi3=false
pointer_width=32
build_flags=
suppress_build_script_link_lines=true
"""

# The names of files with a licence.
LICENCES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    """Returns the packages that a build needs: none."""
    return []


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: object = None
) -> str:
    """Writes the metadata of the wheel. Returns the name of its folder."""
    package = Package(Path.cwd())
    folder = Path(metadata_directory, package.dist_info)
    folder.mkdir()
    (folder / "METADATA").write_bytes(package.metadata)
    return package.dist_info


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:
    """Builds the wheel. Returns its name."""
    work = Path(os.environ["ERYX_NATIVE_DIR"])
    source = work / "sources" / Package(Path.cwd()).name
    # pip unpacks to a folder of another name each time, on which the machine code would depend.
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(Path.cwd(), source)
    package = Package(source)
    module = package.compile(work)
    files = package.python_files() | {package.module_file: module.read_bytes()}
    name = f"{package.name}-{TAG}.whl"
    write_wheel(Path(wheel_directory, name), package.dist_info, files | package.dist_info_files())
    return name


class Package:
    """A package in Rust: its unpacked sources."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.metadata = (source / "PKG-INFO").read_bytes()
        project = email.message_from_bytes(self.metadata)
        self.name = f"{project['Name'].replace('-', '_')}-{project['Version']}"
        self.dist_info = f"{self.name}.dist-info"
        self.licence_files = project.get_all("License-File", [])
        self.options = tomllib.loads((source / "pyproject.toml").read_text())["tool"]["maturin"]
        self.manifest = source / self.options.get("manifest-path", "Cargo.toml")
        self.cargo = tomllib.loads(self.manifest.read_text())
        crate = self.cargo["package"]["name"].replace("-", "_")
        self.library = self.cargo.get("lib", {}).get("name", crate)
        # `package.module`, or a module alone, which becomes the package `module.module`.
        path = self.options.get("module-name", self.library).split(".")
        self.is_alone = len(path) == 1
        self.module = path[-1]
        self.package = "/".join(path[:-1]) or self.module

    @property
    def module_file(self) -> str:
        """The path of the module in the wheel."""
        return f"{self.package}/{self.module}{os.environ['SETUPTOOLS_EXT_SUFFIX']}"

    def compile(self, work: Path) -> Path:
        """Compiles and links the module. Returns its file."""
        target = work / "cargo"
        config = work / "pyo3-config.txt"
        config.write_text(PYO3_CONFIG)
        environment = os.environ | {
            "CARGO_TARGET_DIR": str(target),
            "PYO3_CONFIG_FILE": str(config),
            f"CC_{TARGET.replace('-', '_')}": os.environ["CC"],
        }
        # The compiler of this machine, for build scripts.
        del environment["CC"], environment["CXX"]
        self.run_cargo(["fetch", "--target", TARGET], environment)
        environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(self.compiler_options())
        options = ["rustc", "--lib", "--crate-type", "staticlib", "--release", "--target", TARGET]
        for key, value in PROFILE.items():
            options += ["--config", f"profile.release.{key}={value}"]
        for feature in self.options.get("features", []):
            options += ["--features", feature]
        self.run_cargo(options, environment)
        module = work / f"{self.name}.so"
        archive = target / TARGET / "release" / f"lib{self.library}.a"
        initializer = f"PyInit_{self.module}"
        linker = [*shlex.split(os.environ["LDSHARED"]), "--strip-all", f"--export={initializer}"]
        subprocess.run([*linker, "-u", initializer, archive, "-o", module], check=True)
        return module

    def run_cargo(self, options: list[str], environment: dict[str, str]) -> str:
        """Runs cargo. Returns what it wrote to standard output."""
        command = [os.environ["CARGO"], *options, "--locked"]
        command += ["--manifest-path", str(self.manifest)]
        return subprocess.run(
            command, env=environment, cwd=self.source, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def compiler_options(self) -> list[str]:
        """Returns the options of rustc for all crates. A wheel has no path of this machine."""
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        registries = sorted((home / "registry/src").glob("*"))
        remapped = [(self.source, "."), *((registry, "/crates") for registry in registries)]
        return [
            "-Crelocation-model=pic",
            *(f"--remap-path-prefix={path}={name}" for path, name in remapped),
        ]

    def python_files(self) -> dict[str, bytes]:
        """Returns the files in Python, by their paths in the wheel."""
        files = {}
        if folder := self.options.get("python-source"):
            root = self.source / folder
            for path in sorted(root.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    files[path.relative_to(root).as_posix()] = path.read_bytes()
        elif self.is_alone:
            name = self.module
            files[f"{name}/__init__.py"] = (
                f"from .{name} import *\n\n__doc__ = {name}.__doc__\n"
                f'if hasattr({name}, "__all__"):\n    __all__ = {name}.__all__\n'
            ).encode()
            stub = self.manifest.with_name(f"{name}.pyi")
            if stub.is_file():
                files[f"{name}/__init__.pyi"] = stub.read_bytes()
                files[f"{name}/py.typed"] = b""
        return files

    def dist_info_files(self) -> dict[str, bytes]:
        """Returns the metadata and the licences, by their paths in the wheel."""
        wheel = f"Wheel-Version: 1.0\nGenerator: eryx\nRoot-Is-Purelib: false\nTag: {TAG}\n"
        files = {"METADATA": self.metadata, "WHEEL": wheel.encode()}
        for name in self.licence_files:
            path = self.source / name
            if not path.is_file():
                path = self.manifest.with_name(Path(name).name)
            files[f"licenses/{name}"] = path.read_bytes()
        for crate in self.crates():
            folder = Path(crate["manifest_path"]).parent
            for path in sorted(folder.iterdir()):
                if path.is_file() and path.name.upper().startswith(LICENCES):
                    place = f"licenses/crates/{crate['name']}-{crate['version']}/{path.name}"
                    files[place] = path.read_bytes()
        library = standard_library_licence()
        files[f"licenses/crates/std/{library.name}"] = library.read_bytes()
        return {f"{self.dist_info}/{name}": content for name, content in files.items()}

    def crates(self) -> list[dict[str, Any]]:
        """Returns the crates that the module contains, without the package itself."""
        options = ["metadata", "--format-version", "1", "--filter-platform", TARGET]
        metadata = json.loads(self.run_cargo(options, dict(os.environ)))
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        packages = {package["id"]: package for package in metadata["packages"]}
        [root] = [
            package["id"]
            for package in metadata["packages"]
            if Path(package["manifest_path"]) == self.manifest
        ]
        found = {root}
        pending = [root]
        while pending:
            for dependency in nodes[pending.pop()]["deps"]:
                is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
                if is_linked and dependency["pkg"] not in found:
                    found.add(dependency["pkg"])
                    pending.append(dependency["pkg"])
        crates = [packages[identifier] for identifier in found - {root}]
        return sorted(crates, key=lambda crate: (crate["name"], crate["version"]))


def standard_library_licence() -> Path:
    """Returns the file with the licences of Rust's standard library."""
    command = [os.environ["RUSTC"], "--print", "sysroot"]
    sysroot = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    folder = Path(sysroot, "share/doc")
    for name in ("libstd-rust-dev-wasm32/copyright", "rust/COPYRIGHT-library.html"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no licence of Rust's standard library")


def write_wheel(path: Path, dist_info: str, files: dict[str, bytes]) -> None:
    """Writes a wheel (Binary distribution format). Equal files give equal wheels."""
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        rows.writerow([name, f"sha256={digest.decode()}", len(content)])
    rows.writerow([f"{dist_info}/RECORD", "", ""])
    moment = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        everything = [*sorted(files.items()), (f"{dist_info}/RECORD", record.getvalue().encode())]
        for name, content in everything:
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
