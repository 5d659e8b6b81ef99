"""The package `setuptools-rust` for sandboxes: setup scripts describe modules in Rust with it.

`cargo xtask native` puts its folder on the search path of `pip wheel`. `rust_module.py` compiles
the modules, and says what the environment has. The lock files of packages without one are in the
folder `locks` beside the backends.
"""

from __future__ import annotations

import enum
import os
import shutil
from pathlib import Path
from typing import Any

from rust_module import Crate
from setuptools import Distribution, Extension
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

LOCKS = Path(__file__).parents[2] / "locks"


class Binding(enum.Enum):
    """How a crate makes a module."""

    PyO3 = enum.auto()


class RustExtension(Extension):
    """A module in Rust."""

    def __init__(
        self,
        target: str,
        path: str = "Cargo.toml",
        binding: Binding = Binding.PyO3,
        features: tuple[str, ...] = (),
        debug: bool | None = None,
    ) -> None:
        super().__init__(target, sources=[])
        self.manifest = path
        self.features = list(features)
        # The licences of its crates, by their paths in the metadata of the wheel.
        self.licence_files: dict[str, bytes] = {}


class BuildRust(build_ext):
    """The command `build_ext` for modules in Rust."""

    def build_extension(self, ext: Extension) -> None:
        """Compiles a module to the place where setuptools expects it."""
        if not isinstance(ext, RustExtension):
            super().build_extension(ext)
            return
        work = Path(os.environ["ERYX_NATIVE_DIR"])
        name = self.distribution.get_fullname()
        source = work / "sources" / name
        # pip unpacks to a folder of another name each time, on which the machine code would depend.
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(Path.cwd(), source)
        manifest = source / ext.manifest
        if not manifest.with_name("Cargo.lock").exists():
            shutil.copyfile(LOCKS / f"{name}.lock", manifest.with_name("Cargo.lock"))
        crate = Crate(source, manifest, ext.name.rpartition(".")[2], ext.features)
        module = Path(self.get_ext_fullpath(ext.name))
        module.parent.mkdir(parents=True, exist_ok=True)
        crate.compile(work, module)
        ext.licence_files = crate.licence_files()


class WheelWithLicences(bdist_wheel):
    """The command `bdist_wheel` for modules in Rust."""

    def write_wheelfile(self, wheelfile_base: str, *arguments: Any) -> None:
        """Writes the metadata, with the licences of the crates."""
        super().write_wheelfile(wheelfile_base, *arguments)
        for extension in self.distribution.ext_modules:
            for file, content in getattr(extension, "licence_files", {}).items():
                path = Path(wheelfile_base, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def add_extensions(distribution: Distribution, keyword: str, value: Any) -> None:
    """Adds the modules that a setup script passes as `rust_extensions`."""
    distribution.ext_modules = [*(distribution.ext_modules or ()), *value]
    distribution.cmdclass |= {"build_ext": BuildRust, "bdist_wheel": WheelWithLicences}
