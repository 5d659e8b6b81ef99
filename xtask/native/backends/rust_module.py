"""Compiles and links extension modules in Rust for sandboxes, for the build backends beside it.

Cargo compiles a crate to a static library, and the linker of the modules in C makes a module of it:
rustc cannot link shared libraries for WASI.

The environment has what setuptools reads for modules in C (`CC`, `LDSHARED`,
`SETUPTOOLS_EXT_SUFFIX`, `SOURCE_DATE_EPOCH`), and `CARGO`, `RUSTC` and `ERYX_NATIVE_DIR`, the
folder of this build.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

TARGET = "wasm32-wasip1"

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

# The licences of libraries in C that crates link, by the names of the crates: the variable with the
# folder of the library, and the file there.
LIBRARIES = {"openssl-sys": ("OPENSSL_DIR", "LICENSE.txt")}


class Crate:
    """The crate of an extension module, in the unpacked sources of a package."""

    def __init__(self, source: Path, manifest: Path, module: str, features: list[str]) -> None:
        self.source = source
        self.manifest = manifest
        self.module = module
        self.features = features
        self.cargo = tomllib.loads(manifest.read_text())
        name = self.cargo["package"]["name"].replace("-", "_")
        self.library = self.cargo.get("lib", {}).get("name", name)

    def compile(self, work: Path, module: Path) -> None:
        """Compiles the crate, and links it to the file `module`. `work` is the build's folder."""
        target = work / "cargo"
        config = work / "pyo3-config.txt"
        config.write_text(PYO3_CONFIG)
        environment = os.environ | {
            "CARGO_TARGET_DIR": str(target),
            "PYO3_CONFIG_FILE": str(config),
            f"CC_{TARGET.replace('-', '_')}": str(compiler(work)),
            f"AR_{TARGET.replace('-', '_')}": str(archiver(work)),
        }
        # The compiler of this machine, for build scripts.
        del environment["CC"], environment["CXX"]
        self.run_cargo(["fetch", "--target", TARGET], environment)
        environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(self.compiler_options())
        options = ["rustc", "--lib", "--crate-type", "staticlib", "--release", "--target", TARGET]
        for key, value in (PROFILE | self.own_profile()).items():
            options += ["--config", f"profile.release.{key}={value}"]
        for feature in self.features:
            options += ["--features", feature]
        self.run_cargo(options, environment)
        archive = target / TARGET / "release" / f"lib{self.library}.a"
        initializer = f"PyInit_{self.module}"
        linker = shlex.split(os.environ["LDSHARED"])
        # Rust has functions of its own that the compiler calls.
        libraries = [word for word in linker if word.endswith(".a")]
        linker = [word for word in linker if word not in libraries]
        linker += ["--strip-all", f"--export={initializer}", "-u", initializer]
        subprocess.run([*linker, archive, *libraries, "-o", module], check=True)

    def own_profile(self) -> dict[str, str]:
        """Returns the options of the package itself that stay: checks that it asks for."""
        for folder in self.manifest.parents:
            manifest = folder / "Cargo.toml"
            if manifest.is_file():
                profile = tomllib.loads(manifest.read_text()).get("profile", {}).get("release", {})
                if profile.get("overflow-checks"):
                    return {"overflow-checks": "true"}
            if folder == self.source:
                break
        return {}

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

    def licence_files(self) -> dict[str, bytes]:
        """Returns the licences of the crates and of what they link, by their paths in the wheel."""
        files = {}
        for crate in self.crates():
            folder = Path(crate["manifest_path"]).parent
            place = f"licenses/crates/{crate['name']}-{crate['version']}"
            for path in sorted(folder.iterdir()):
                if path.is_file() and path.name.upper().startswith(LICENCES):
                    files[f"{place}/{path.name}"] = path.read_bytes()
            if crate["name"] in LIBRARIES:
                variable, name = LIBRARIES[crate["name"]]
                files[f"{place}/library/{name}"] = Path(os.environ[variable], name).read_bytes()
        library = standard_library_licence()
        files[f"licenses/crates/std/{library.name}"] = library.read_bytes()
        return files

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


def compiler(work: Path) -> Path:
    """Writes a program that runs the compiler of C. Returns its path.

    Build scripts give it the name of Rust's target, which it does not know.
    """
    program = work / "wasi-cc"
    program.write_text(
        "#!/bin/sh\n"
        'for argument; do\n    shift\n    case "$argument" in\n    --target=*) ;;\n'
        '    *) set -- "$@" "$argument" ;;\n    esac\ndone\n'
        f'exec {os.environ["CC"]} "$@"\n'
    )
    program.chmod(0o755)
    return program


def archiver(work: Path) -> Path:
    """Writes a program that makes archives of what `compiler` compiles. Returns its path."""
    program = work / "wasi-ar"
    program.write_text(f'#!/bin/sh\nexec {shlex.split(os.environ["CC"])[0]} ar "$@"\n')
    program.chmod(0o755)
    return program


def standard_library_licence() -> Path:
    """Returns the file with the licences of Rust's standard library."""
    command = [os.environ["RUSTC"], "--print", "sysroot"]
    sysroot = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    folder = Path(sysroot, "share/doc")
    for name in ("libstd-rust-dev-wasm32/copyright", "rust/COPYRIGHT-library.html"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no licence of Rust's standard library")
