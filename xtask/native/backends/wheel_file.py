"""The sources of a package and its wheel, for the build backends beside it (PEP 517).

`cargo xtask native` puts this folder on the search path of `pip wheel`, so that packages that name
these backends are built by them.
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

TAG = "cp314-cp314-wasm32_wasi"


def get_requires_for_build_wheel(config_settings: object = None) -> list[str]:
    """Returns the packages that a build needs: none."""
    return []


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: object = None
) -> str:
    """Writes the metadata of the wheel. Returns the name of its folder."""
    sources = Sources(Path.cwd())
    folder = Path(metadata_directory, sources.dist_info)
    folder.mkdir()
    (folder / "METADATA").write_bytes(sources.metadata)
    return sources.dist_info


class Sources:
    """The unpacked sources of a package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = (folder / "PKG-INFO").read_bytes()
        metadata = email.message_from_bytes(self.metadata)
        self.project = metadata["Name"]
        self.name = f"{self.project.replace('-', '_')}-{metadata['Version']}"
        self.dist_info = f"{self.name}.dist-info"
        self.licence_files = metadata.get_all("License-File", [])
        self.pyproject = tomllib.loads((folder / "pyproject.toml").read_text())

    @classmethod
    def copy(cls) -> Sources:
        """Copies the sources in the current folder, from which pip builds, to the folder of builds.

        pip unpacks to a folder of another name each time, on which the machine code would depend.
        """
        target = Path(os.environ["ERYX_NATIVE_DIR"], "sources", cls(Path.cwd()).name)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path.cwd(), target)
        return cls(target)

    def write_wheel(self, directory: str, files: dict[str, bytes], licences: Path) -> str:
        """Writes a wheel with `files` and the metadata. Returns its name.

        `files` has the contents by the paths in the wheel. Licences that are not beside
        `pyproject.toml` are in the folder `licences`.
        """
        wheel = f"Wheel-Version: 1.0\nGenerator: eryx\nRoot-Is-Purelib: false\nTag: {TAG}\n"
        files = files | {
            f"{self.dist_info}/METADATA": self.metadata,
            f"{self.dist_info}/WHEEL": wheel.encode(),
        }
        if entry_points := self.entry_points():
            files[f"{self.dist_info}/entry_points.txt"] = entry_points.encode()
        for name in self.licence_files:
            path = self.folder / name
            if not path.is_file():
                path = licences / Path(name).name
            files[f"{self.dist_info}/licenses/{name}"] = path.read_bytes()
        name = f"{self.name}-{TAG}.whl"
        write_archive(Path(directory, name), files, f"{self.dist_info}/RECORD")
        return name

    def entry_points(self) -> str:
        """Returns the entry points that `pyproject.toml` names."""
        project = self.pyproject.get("project", {})
        groups = {"console_scripts": project.get("scripts", {})} | project.get("entry-points", {})
        lines = []
        for group, points in groups.items():
            if points:
                lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
        return "\n".join(lines)


def write_archive(path: Path, files: dict[str, bytes], record: str) -> None:
    """Writes a wheel (Binary distribution format), whose digests are in the file `record`.

    Equal files give equal wheels.
    """
    digests = io.StringIO()
    rows = csv.writer(digests, lineterminator="\n")
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        rows.writerow([name, f"sha256={digest.decode()}", len(content)])
    rows.writerow([record, "", ""])
    moment = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [*sorted(files.items()), (record, digests.getvalue().encode())]:
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
