"""Runs the programs of ``examples/``."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess

import fake_internet

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def digest(count: int) -> str:
    squares = [number * number for number in range(count)]
    return hashlib.sha256(json.dumps(squares).encode()).hexdigest()[:8]


def test_scale_out_example_runs_two_hundred_scripts_on_a_cluster():
    python = os.environ.get("ERYX_EXAMPLE_PYTHON")
    if not python:
        fake_internet.skip(
            "ERYX_EXAMPLE_PYTHON does not say which Python has Dask: `cargo xtask test` does"
        )
    completed = subprocess.run(
        [python, EXAMPLES / "scale-out/scale_out.py"], capture_output=True, text=True, timeout=120
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == (
        "200 scripts: {'(ResourceLimitError)': 4, '(TimeoutError)': 4, 'done': 192}\n"
        f"number 0 printed {digest(0)}, number 199 {digest(199)}\n"
    )
