"""The build backend `maturin` for sandboxes: builds wheels of packages with a module in Rust.

`cargo xtask native` puts this folder on the search path of `pip wheel`, so that packages with this
backend are built by it (PEP 517). `rust_module.py` compiles them, and says what the environment
has.
"""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import io
import os
import shutil
import time
import tomllib
import zipfile
from pathlib import Path

from rust_module import Crate

TAG = "cp314-cp314-wasm32_wasi"


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
    module = work / f"{package.name}.so"
    package.crate.compile(work, module)
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
        manifest = source / self.options.get("manifest-path", "Cargo.toml")
        self.crate = Crate(source, manifest, "", self.options.get("features", []))
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
            root = self.source / folder
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

    def dist_info_files(self) -> dict[str, bytes]:
        """Returns the metadata and the licences, by their paths in the wheel."""
        wheel = f"Wheel-Version: 1.0\nGenerator: eryx\nRoot-Is-Purelib: false\nTag: {TAG}\n"
        files = {"METADATA": self.metadata, "WHEEL": wheel.encode()}
        for name in self.licence_files:
            path = self.source / name
            if not path.is_file():
                path = self.crate.manifest.with_name(Path(name).name)
            files[f"licenses/{name}"] = path.read_bytes()
        files |= self.crate.licence_files()
        return {f"{self.dist_info}/{name}": content for name, content in files.items()}


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
