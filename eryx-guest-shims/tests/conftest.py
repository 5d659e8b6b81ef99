"""Runs guest programs natively, in a process of their own, over the fake host."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import EVERYTHING, Authority

TESTS = Path(__file__).parent
PYTHON = TESTS.parent / "python"

Guest = Callable[..., str]


@pytest.fixture
def guest() -> Guest:
    """`guest(program, **environment)` runs a program and returns what it printed.

    The program sees the interpreter's own standard library over the shims. A failed assertion
    in it is a failed test.
    """

    def run(program: str, /, **environment: str) -> str:
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error::ResourceWarning",
                TESTS / "fake_host/bootstrap.py",
                PYTHON,
            ],
            input=textwrap.dedent(program),
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, **environment},
            check=False,
        )
        if done.returncode:
            pytest.fail(f"the guest program failed\n{done.stdout}\n{done.stderr}", pytrace=False)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that issued `server`, with every kind of extension."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("server", EVERYTHING)
    return made
