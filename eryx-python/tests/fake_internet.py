"""Runs programs in a network namespace with the hosts that the documentation names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from typing import NoReturn

import pytest


def run(driver: str, value: object, directory: os.PathLike[str], *, timeout: float = 120) -> object:
    """Run the program `driver` with `value` as JSON on standard input, and return its output, parsed
    as JSON. ``ERYX_TESTKIT_CA`` names the file with the CA certificate of the servers. Skips the test
    where network namespaces are not available."""
    testkit = os.environ.get("ERYX_TESTKIT_NETNS")
    if not testkit:
        skip("ERYX_TESTKIT_NETNS does not say where eryx-testkit-netns is: `cargo xtask test` does")
    completed = subprocess.run(
        [testkit, sys.executable, "-c", driver],
        input=json.dumps(value),
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=directory,
    )
    if completed.returncode == 77:
        skip(completed.stderr.strip())
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def libraries() -> str:
    """Return the folder with the wheels of libraries.txt."""
    folder = os.environ.get("ERYX_TEST_WHEELS")
    if not folder:
        skip("ERYX_TEST_WHEELS does not say where the libraries are: `cargo xtask test` does")
    return folder


def skip(reason: str) -> NoReturn:
    warnings.warn(f"SKIPPED: {reason}", stacklevel=2)
    pytest.skip(reason)
