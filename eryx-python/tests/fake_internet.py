"""Programs in the testkit's world: a network on which the hosts of the documentation exist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from typing import NoReturn

import pytest


def run(driver: str, given: object, directory: os.PathLike[str], *, timeout: float = 120) -> object:
    """What the program `driver` prints, as JSON. It reads `given` as JSON from standard input, and finds the
    authority of the servers in the file ``ERYX_TESTKIT_CA``. Where there can be no world the test is skipped."""
    world = os.environ.get("ERYX_TESTKIT_NETNS")
    if not world:
        skip("ERYX_TESTKIT_NETNS does not say where eryx-testkit-netns is: `cargo xtask test` does")
    ended = subprocess.run(
        [world, sys.executable, "-c", driver],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=directory,
    )
    if ended.returncode == 77:
        skip(ended.stderr.strip())
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def libraries() -> str:
    """The folder with the wheels of libraries.txt."""
    folder = os.environ.get("ERYX_TEST_WHEELS")
    if not folder:
        skip("ERYX_TEST_WHEELS does not say where the libraries are: `cargo xtask test` does")
    return folder


def skip(reason: str) -> NoReturn:
    warnings.warn(f"SKIPPED: {reason}", stacklevel=2)
    pytest.skip(reason)
