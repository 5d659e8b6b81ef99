"""Fetches CPython's tests from Debian's packages, or copies those of another CPython."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PINS = Path(__file__).with_name("debian.txt")

# The files of `test/` that a run needs. More would only make the factory larger.
REQUIRED = (
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
    # test_urllib2 uses a class of it.
    "test_http_cookiejar.py",
    "test_bufio.py",
    "test_file.py",
    "test_filecmp.py",
    "test_fileinput.py",
    "test_fileio.py",
    "test_genericpath.py",
    "test_glob.py",
    "test_gzip.py",
    "test_io.py",
    "test_linecache.py",
    "test_memoryio.py",
    "test_os.py",
    "test_posix.py",
    "test_posixpath.py",
    "test_shutil.py",
    "test_tarfile.py",
    "test_tempfile.py",
    "test_univnewlines.py",
    "test_zipfile.py",
    "test_zipimport.py",
    "test_hashlib.py",
    "test_hmac.py",
    "test_bz2.py",
    "test_lzma.py",
    "test_zoneinfo",
    "test_threading.py",
    "test_thread.py",
    "test_threading_local.py",
    "test_queue.py",
    "test_sched.py",
    "test_concurrent_futures.py",
    "test_atexit.py",
    "test_pwd.py",
    "test_grp.py",
    "test_mmap.py",
    # Files and modules that they use.
    "_test_atexit.py",
    "lock_tests.py",
    "signalinterproctester.py",
    "mapping_tests.py",
    "test_importlib",
    "inspect_fodder.py",
    "recursion.tar",
    "testtar.tar*",
    "tokenize_tests*.txt",
    "zip_cp437_header.zip",
    "zipdir.zip",
    "ziptestdata",
    "exception_hierarchy.txt",
    "capath",
    "*.pem",
    "*.crl",
)

# The files of a newer CPython, where some have moved.
REQUIRED_NEWER = (*REQUIRED, "certdata")


def fetch(folder: Path) -> None:
    """Put the package `test` into `folder`. Raises SystemExit with instructions if that fails."""
    pins = PINS.read_text() + repr(REQUIRED)
    stamp = folder / "pins"
    if stamp.is_file() and stamp.read_text() == pins:
        return
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        staging = Path(name)
        # apt downloads as a user of its own, if that user exists.
        os.chmod(staging, 0o777)
        for line in PINS.read_text().splitlines():
            if not line.startswith("#"):
                unpack(*line.split(), staging)
        missing = copy(next(staging.glob("tree/usr/lib/python3.*/test")), folder, REQUIRED)
        if missing:
            raise SystemExit(f"error: the packages of {PINS} have no test/{missing[0]}")
    stamp.write_text(pins)


def adopt(suite: Path, folder: Path, modules: list[str]) -> None:
    """Put the files that a run of `modules` needs from another CPython into `folder`.

    Raises SystemExit if `suite` has no tests.
    """
    if not (suite / "support").is_dir():
        suite = suite / "test"
    if not (suite / "support").is_dir():
        raise SystemExit(f"error: {suite} is not the folder `test` of CPython's library")
    shutil.rmtree(folder, ignore_errors=True)
    files = (name for module in modules for name in (module + ".py", module.partition(".")[0]))
    copy(suite, folder, (*REQUIRED_NEWER, *files))


def copy(suite: Path, folder: Path, patterns: tuple[str, ...]) -> list[str]:
    """Copy parts of a folder `test` to `folder`. Returns the patterns without a match."""
    missing = []
    for pattern in patterns:
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
    """Download a package, check its digest, and unpack it to `staging`/tree."""
    pinned = f"{package}={version}"
    if not download(pinned, staging) and not (refresh_index() and download(pinned, staging)):
        raise SystemExit(
            f"error: `apt-get download {pinned}` failed: CPython's tests come from a package of "
            "Debian 12. apt needs its index (`apt-get update`); if that has another version, "
            f"change {PINS}"
        )
    archive = next(staging.glob(f"{package}_*.deb"))
    if hashlib.sha256(archive.read_bytes()).hexdigest() != digest:
        raise SystemExit(f"error: {archive.name} is not the file {PINS} names")
    subprocess.run(["dpkg-deb", "-x", archive, staging / "tree"], check=True)


def download(pinned: str, staging: Path) -> bool:
    """Download a package with apt. Returns whether that succeeded."""
    command = ["apt-get", "download", "--quiet", pinned]
    return subprocess.run(command, cwd=staging, capture_output=True).returncode == 0


def refresh_index() -> bool:
    """Update the index of apt, which needs root. Returns whether that succeeded."""
    return subprocess.run(["apt-get", "update", "--quiet"], capture_output=True).returncode == 0
