"""Runs tests of CPython's suite in a sandbox, and reports each when it ends."""

# ruff: noqa: N802, N815 - names that the suite and unittest ask for
from __future__ import annotations

import asyncio
import functools
import importlib
import io
import sys
import traceback
import types
import unittest
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from unittest import mock

import conformance_files
import conformance_host
from test import support
from test.support import socket_helper, threading_helper

support.verbose = 0
# `smtpd` reads the name of the program.
sys.argv[:] = [""]
# The directory of the suite's files.
support.SAVEDCWD = "/"

# The files with tests of files. They run as CPython runs them on WASI.
FILE_TESTS = frozenset(
    {
        "test_bufio",
        "test_file",
        "test_filecmp",
        "test_fileinput",
        "test_fileio",
        "test_genericpath",
        "test_glob",
        "test_gzip",
        "test_io",
        "test_linecache",
        "test_memoryio",
        "test_os",
        "test_pathlib",
        "test_posix",
        "test_posixpath",
        "test_shutil",
        "test_sqlite3",
        "test_tarfile",
        "test_tempfile",
        "test_univnewlines",
        "test_zipfile",
        "test_zipimport",
    }
)

# The files with tests of threads, and of what else a sandbox has although WASI lacks it.
THREAD_TESTS = frozenset(
    {
        "test_atexit",
        "test_bz2",
        "test_concurrent_futures",
        "test_grp",
        "test_hashlib",
        "test_hmac",
        "test_lzma",
        "test_mmap",
        "test_pwd",
        "test_queue",
        "test_sched",
        "test_thread",
        "test_threading",
        "test_threading_local",
        "test_zoneinfo",
    }
)


def _prepare_network_tests() -> None:
    """Replace what the tests of the network and of asyncio expect, and a sandbox lacks."""
    conformance_files.install()
    # The suite skips tests of features that CPython lacks on WASI, but a sandbox has them.
    support.has_socket_support = True
    support.is_wasi = False
    socket_helper._bind_nix_socket_error = OSError("Unix sockets exist only as pairs")
    socket_helper.has_gethostname = True
    socket_helper.HOST = "localhost"
    threading_helper.can_start_thread = True
    policy: Any = asyncio.unix_events._UnixDefaultEventLoopPolicy
    policy.get_child_watcher = _no_watcher
    asyncio.SafeChildWatcher = mock.Mock
    asyncio.set_child_watcher = lambda watcher: None
    # A file imports pseudo-terminals, which WASI lacks.
    sys.modules["tty"] = types.ModuleType("tty")
    # The only attributes of CPython's C test module that are used.
    limits: Any = types.ModuleType("_testcapi")
    limits.INT_MAX, limits.INT_MIN = 2**31 - 1, -(2**31)
    limits.LONG_MAX, limits.LONG_MIN = 2**31 - 1, -(2**31)
    limits.UINT_MAX = limits.ULONG_MAX = 2**32 - 1
    limits.USHRT_MAX, limits.SHRT_MAX = 2**16 - 1, 2**15 - 1
    sys.modules["_testcapi"] = limits


# CPython 3.14 has no child watchers. The suite accepts this on other systems.
def _no_watcher(self: object) -> None:
    raise NotImplementedError


# The classes and functions that the suite runs in threads, by module. The host side runs them.
ON_HOST = {
    "test.ssl_servers": ("HTTPSServerThread",),
    "test.test_asyncio.utils": ("run_test_server", "run_udp_echo_server"),
    "test.test_asyncio.functional": ("TestThreadedServer",),
    "test.test_asyncio.test_ssl": ("TestThreadedServer",),
    "test.test_imaplib": (
        "NewIMAPTests.server_class",
        "NewIMAPSSLTests.server_class",
        "ThreadedNetworkedTests.server_class",
        "ThreadedNetworkedTestsSSL.server_class",
    ),
    "test.test_httplib": (),
    "test.test_smtplib": (
        "SimSMTPServer",
        "SimSMTPUTF8Server",
        "SimSMTPAUTHInitialResponseServer",
        "smtpd.DebuggingServer",
    ),
    "test.test_urllib2_localnet": (
        "LoopbackHttpServerThread",
        "GetRequestHandler",
        "DigestAuthHandler",
    ),
    "test.test_xmlrpc": tuple(
        f"{case}ServerTestCase{number}.{handler}"
        for case, number in (("Keepalive", 1), ("Keepalive", 2), ("Gzip", ""), ("Headers", ""))
        for handler in ("RequestHandler", "requestHandler")
    ),
    "test.test_ssl": (
        "ThreadedEchoServer",
        "AsyncoreEchoServer",
        "TestPreHandshakeClose.SingleConnectionTestServerThread",
    ),
    "test.test_ftplib": ("DummyFTPServer", "DummyTLS_FTPServer"),
    "test.test_poplib": ("DummyPOP3Server",),
}

# Variables that the threads of a module set.
SHARED = {"test.test_xmlrpc": ("ADDR", "PORT", "URL")}

# Marks the lines of reports, in contrast to output of the tests.
MARK = "\x1e"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def report(*fields: str) -> None:
    """Report a message to the driver, in a line of its own."""
    assert sys.__stdout__ is not None
    text = "\x1f".join(field.replace("\n", "\x1d") for field in fields)
    sys.__stdout__.write(f"\n{MARK}{text}\n")
    sys.__stdout__.flush()


class Result(unittest.TestResult):
    """Reports every outcome immediately, so that a later hang loses none."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__()
        self.quiet = quiet
        self.outcome = ("passed", "")

    def startTest(self, test: unittest.TestCase) -> None:
        """Report that a test starts."""
        super().startTest(test)
        self.outcome = ("passed", "")
        conformance_host.start_test(test)
        if not self.quiet:
            report("start", name(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        """Report the outcome of a test."""
        super().stopTest(test)
        if not self.quiet:
            report("end", name(test), *self.outcome)

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Do nothing: passed is the default."""

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Record the suite's reason."""
        if isinstance(test, unittest.TestCase):
            self.outcome = ("skipped", reason)
        else:
            report("fixture", str(test), "skipped", reason)

    def addFailure(self, test: Any, err: ExcInfo) -> None:
        """Record the traceback."""
        if isinstance(test, unittest.TestCase):
            self.outcome = ("failed", describe(err))
        else:
            report("fixture", str(test), "failed", describe(err))

    addError = addFailure

    def addExpectedFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        """Do nothing: the test counts as passed."""

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """Record a failure, as unittest does."""
        self.outcome = ("failed", "unexpected success")

    def addSubTest(self, test: Any, subtest: Any, err: ExcInfo | None) -> None:
        """Record the first subtest that fails."""
        if err is not None and self.outcome[0] == "passed":
            self.outcome = ("failed", f"{subtest}\n{describe(err)}")


def describe(err: ExcInfo) -> str:
    """Return the end of a traceback, and the exception."""
    return "".join(traceback.format_exception(*err, limit=-6))[-3000:]


def name(test: unittest.TestCase) -> str:
    """Return the name of a test without `test.`."""
    return test.id().removeprefix("test.")


def tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield all tests of a suite in order."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests(item)
        else:
            yield item


def load(module: str) -> unittest.TestSuite:
    """Load the tests of a file, as the suite's runner does."""
    home = module.partition(".")[0]
    if home in FILE_TESTS | THREAD_TESTS:
        threading_helper.can_start_thread = True
        if home in ("test_bz2", "test_lzma"):
            # CPython 3.14 has moved a module that they use.
            sys.modules["_compression"] = importlib.import_module("compression._common._streams")
        file = importlib.import_module(f"test.{module}")
        return unittest.defaultTestLoader.loadTestsFromModule(file)
    _prepare_network_tests()
    # Newer suites require processes although they only need threads.
    support.has_subprocess_support = module == "test_ftplib"
    file = importlib.import_module(f"test.{module}")
    importlib.import_module("test.ssl_servers")
    for owner, names in ON_HOST.items():
        if owner in sys.modules:
            home = sys.modules[owner]
            if hasattr(home, "threading"):
                home.threading = conformance_host.Threads(owner, SHARED.get(owner, ()))
            for qualified in names:
                *path, last = qualified.split(".")
                parent = functools.reduce(getattr, path, home)
                if hasattr(parent, last):
                    setattr(parent, last, conformance_host.Named(owner, qualified))
    if module == "test_smtplib":
        # The output of its server.
        patched = {**vars(io), "StringIO": conformance_host.Named("captured_output", "Stream")}
        file.io = types.SimpleNamespace(**patched)  # type: ignore[attr-defined]
    return unittest.defaultTestLoader.loadTestsFromModule(file)


def run(module: str, finished: list[str], listed: list[str], only: str | None, port: int) -> None:
    """Run the tests of a file except those finished and listed, and report all names.

    The host side listens on `port`.
    """
    conformance_host.connect_to(port)
    suite = load(module)
    names = [name(test) for test in tests(suite)]
    for test_name in names:
        report("found", test_name)
    excluded = {*finished, *listed}
    keep = {
        test_name
        for test_name in names
        if test_name not in excluded
        and test_name.rpartition(".")[0] + ".*" not in excluded
        and (only is None or only in test_name)
    }
    _retain(suite, keep)
    if module == "test_socket":
        _split(suite)
    suite.run(Result())
    report("done")


def _split(suite: unittest.TestSuite) -> None:
    """Run tests with a client and a server with one of them on the host."""
    import conformance_socket

    conformance_socket.prepare()
    for test in tests(suite):
        if ways := conformance_socket.ways_to_run(test):
            test.run = functools.partial(_run_ways, test, ways)  # type: ignore[method-assign]


def _run_ways(test: unittest.TestCase, ways: list[Any], result: Result) -> None:
    result.startTest(test)
    for way in ways:
        copy = type(test)(test._testMethodName)
        way(copy, silent := Result(quiet=True))
        if result.outcome[0] == "passed":
            result.outcome = silent.outcome
    result.stopTest(test)


def _retain(suite: unittest.TestSuite, keep: set[str]) -> None:
    retained: list[Any] = []
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            _retain(item, keep)
            retained.append(item)
        elif name(item) in keep:
            retained.append(item)
    suite._tests = retained  # type: ignore[attr-defined]
