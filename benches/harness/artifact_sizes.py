"""Measures the sizes of the installed files."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Sequence

from benchmarks import ERYX, PYERYX, ArtifactSizes, Benchmark
from runner import Runner
from subjects import Failure

LOCATION = "import eryx; print(eryx.__file__)"


def measure(
    runner: Runner,
    benchmarks: Sequence[Benchmark],
    pythons: dict[str, str],
    wheels: dict[str, str],
    image: pathlib.Path,
) -> None:
    """Add the measurements of the benchmark of sizes, if it is among `benchmarks`."""
    for benchmark in benchmarks:
        if not isinstance(benchmark.workload, ArtifactSizes):
            continue
        wheel, package, component, code = benchmark.rows
        for subject, file in wheels.items():
            size = pathlib.Path(file).stat().st_size
            runner.cell(wheel.name, subject).measurements.append(size)
            output = subprocess.check_output([pythons[subject], "-c", LOCATION], text=True)
            size = folder_size(pathlib.Path(output.strip()).parent)
            runner.cell(package.name, subject).measurements.append(size)
        for row, suffix in ((component, "wasm"), (code, "cwasm")):
            size = (image / f"eryx-guest.{suffix}").stat().st_size
            runner.cell(row.name, ERYX).measurements.append(size)
            runner.cell(row.name, PYERYX).failures.append(Failure("not a file of its own"))


def folder_size(path: pathlib.Path) -> int:
    """Return the number of bytes of the files in a folder, without compiled bytecode."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc")
