"""How large what is installed is."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Sequence

from columns import Failure
from rounds import Rounds
from scenes import ERYX, PEER, Scene, Size

LOCATION = "import eryx; print(eryx.__file__)"


def add(
    rounds: Rounds,
    scenes: Sequence[Scene],
    pythons: dict[str, str],
    wheels: dict[str, str],
    image: pathlib.Path,
) -> None:
    """The figures of the scene that is about sizes, where it is asked for."""
    for scene in scenes:
        if not isinstance(scene.does, Size):
            continue
        wheel, package, component, code = scene.rows
        for column, file in wheels.items():
            rounds.cell(wheel.name, column).figures.append(pathlib.Path(file).stat().st_size)
            told = subprocess.check_output([pythons[column], "-c", LOCATION], text=True)
            size = folder(pathlib.Path(told.strip()).parent)
            rounds.cell(package.name, column).figures.append(size)
        for row, suffix in ((component, "wasm"), (code, "cwasm")):
            size = (image / f"eryx-guest.{suffix}").stat().st_size
            rounds.cell(row.name, ERYX).figures.append(size)
            rounds.cell(row.name, PEER).failures.append(Failure("not a file of its own"))


def folder(path: pathlib.Path) -> int:
    """Bytes of the files in it, without what the interpreter makes of them."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc")
