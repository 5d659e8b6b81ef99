"""Runs guest programs natively over the fake host, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import ALL_EXTENSIONS, CertificateAuthority

TESTS = Path(__file__).parent
PYTHON = TESTS.parent / "python"

Guest = Callable[..., str]


@pytest.fixture
def guest() -> Guest:
    """`guest(program, **environment)` runs a program and returns its output.

    The program uses the interpreter's own standard library over the shims. The test fails if an
    assertion of the program does.
    """

    def run(program: str, /, **environment: str) -> str:
        completed = subprocess.run(
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
        if completed.returncode:
            output = f"{completed.stdout}\n{completed.stderr}"
            pytest.fail(f"the guest program failed\n{output}", pytrace=False)
        return completed.stdout

    return run


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """A certificate authority that issued `server`, a certificate with every kind of extension."""
    ca = CertificateAuthority(tmp_path_factory.mktemp("ca"))
    ca.issue("server", ALL_EXTENSIONS)
    return ca
