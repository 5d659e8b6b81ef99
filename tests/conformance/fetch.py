"""CPython's tests: those of Debian's packages, or another CPython's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PINS = Path(__file__).with_name("debian.txt")

# What a run needs of `test/`: the rest would only make the factory larger.
WANTED = (
    "__init__.py",
    "support",
    "test_asyncio",
    "test_ssl.py",
    "ssl_servers.py",
    "test_socket.py",
    "test_select.py",
    "test_selectors.py",
    "test_timeout.py",
    "test_httplib.py",
    "test_urllib.py",
    "test_urllib2.py",
    "test_urllib2_localnet.py",
    "test_ftplib.py",
    "test_smtplib.py",
    "mock_socket.py",
    "test_poplib.py",
    "test_imaplib.py",
    "test_xmlrpc.py",
    # Of which test_urllib2 uses a class.
    "test_http_cookiejar.py",
    "capath",
    "*.pem",
    "*.crl",
)

# And of a newer CPython's, where some of the above has moved to.
WANTED_NEWER = (*WANTED, "certdata")


def fetch(folder: Path) -> None:
    """Make `folder` hold the package `test`. Raises SystemExit with what to do if it cannot."""
    pins = PINS.read_text() + repr(WANTED)
    stamp = folder / "pins"
    if stamp.is_file() and stamp.read_text() == pins:
        return
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        staging = Path(name)
        # apt's own user downloads, when there is one.
        os.chmod(staging, 0o777)
        for line in PINS.read_text().splitlines():
            if not line.startswith("#"):
                unpack(*line.split(), staging)
        missing = copy(next(staging.glob("tree/usr/lib/python3.*/test")), folder, WANTED)
        if missing:
            raise SystemExit(f"error: the packages of {PINS} have no test/{missing[0]}")
    stamp.write_text(pins)


def adopt(suite: Path, folder: Path, modules: list[str]) -> None:
    """Make `folder` hold what a run of these modules needs of another CPython's tests.

    Raises SystemExit if there are none in `suite`.
    """
    if not (suite / "support").is_dir():
        suite = suite / "test"
    if not (suite / "support").is_dir():
        raise SystemExit(f"error: {suite} is no folder `test` of CPython's library")
    shutil.rmtree(folder, ignore_errors=True)
    copy(suite, folder, (*WANTED_NEWER, *(module + ".py" for module in modules)))


def copy(suite: Path, folder: Path, wanted: tuple[str, ...]) -> list[str]:
    """Copy parts of a folder `test` to `folder`. Returns the patterns that nothing matched."""
    missing = []
    for pattern in wanted:
        found = list(suite.glob(pattern))
        if not found:
            missing.append(pattern)
        for path in found:
            target = folder / "test" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, target, dirs_exist_ok=True, ignore=ignored)
            else:
                shutil.copyfile(path, target)
    return missing


def unpack(package: str, version: str, digest: str, staging: Path) -> None:
    """Download a package, check that it is the one meant, and unpack it to `staging`/tree."""
    wanted = f"{package}={version}"
    if not downloaded(wanted, staging) and not (refreshed() and downloaded(wanted, staging)):
        raise SystemExit(
            f"error: `apt-get download {wanted}` failed: CPython's tests come from a package of "
            "Debian 12. apt needs its index (`apt-get update`); if that has another version, "
            f"change {PINS}"
        )
    archive = next(staging.glob(f"{package}_*.deb"))
    if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
        raise SystemExit(f"error: {archive.name} is not the file {PINS} names")
    subprocess.run(["dpkg-deb", "-x", archive, staging / "tree"], check=True)


def downloaded(wanted: str, staging: Path) -> bool:
    """Whether apt could download the package."""
    command = ["apt-get", "download", "--quiet", wanted]
    return subprocess.run(command, cwd=staging, capture_output=True).returncode == 0


def refreshed() -> bool:
    """Whether apt could renew its index. It takes root to do that."""
    return subprocess.run(["apt-get", "update", "--quiet"], capture_output=True).returncode == 0
