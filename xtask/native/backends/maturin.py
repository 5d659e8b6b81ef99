"""The build backend `maturin` for sandboxes: builds wheels of packages with a module in Rust.

`rust_module.py` compiles them, and says what the environment has.
"""

from __future__ import annotations

import os
from pathlib import Path

from rust_module import Crate
from wheel_file import Sources, get_requires_for_build_wheel, prepare_metadata_for_build_wheel

__all__ = ["build_wheel", "get_requires_for_build_wheel", "prepare_metadata_for_build_wheel"]


def build_wheel(
    wheel_directory: str, config_settings: object = None, metadata_directory: str | None = None
) -> str:
    """Builds the wheel. Returns its name."""
    package = Package(Sources.copy())
    work = Path(os.environ["ERYX_NATIVE_DIR"])
    module = work / f"{package.sources.name}.so"
    package.crate.compile(work, module)
    files = package.python_files() | {package.module_file: module.read_bytes()}
    for name, content in package.crate.licence_files().items():
        files[f"{package.sources.dist_info}/{name}"] = content
    return package.sources.write_wheel(wheel_directory, files, package.crate.manifest.parent)


class Package:
    """A package in Rust."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.options = sources.pyproject["tool"]["maturin"]
        manifest = sources.folder / self.options.get("manifest-path", "Cargo.toml")
        self.crate = Crate(sources.folder, manifest, "", self.options.get("features", []))
        # `package.module`, or a module alone, which becomes the package `module.module`.
        path = self.options.get("module-name", self.crate.library).split(".")
        self.is_alone = len(path) == 1
        self.module = self.crate.module = path[-1]
        self.package = "/".join(path[:-1]) or self.module

    @property
    def module_file(self) -> str:
        """The path of the module in the wheel."""
        return f"{self.package}/{self.module}{os.environ['SETUPTOOLS_EXT_SUFFIX']}"

    def python_files(self) -> dict[str, bytes]:
        """Returns the files in Python, by their paths in the wheel."""
        files = {}
        if folder := self.options.get("python-source"):
            root = self.sources.folder / folder
            packages = self.options.get("python-packages", [])
            for path in sorted(root.rglob("*")):
                if packages and path.relative_to(root).parts[0] not in packages:
                    continue
                if path.is_file() and "__pycache__" not in path.parts:
                    files[path.relative_to(root).as_posix()] = path.read_bytes()
        elif self.is_alone:
            name = self.module
            files[f"{name}/__init__.py"] = (
                f"from .{name} import *\n\n__doc__ = {name}.__doc__\n"
                f'if hasattr({name}, "__all__"):\n    __all__ = {name}.__all__\n'
            ).encode()
            stub = self.crate.manifest.with_name(f"{name}.pyi")
            if stub.is_file():
                files[f"{name}/__init__.pyi"] = stub.read_bytes()
                files[f"{name}/py.typed"] = b""
        return files
