"""Runs tests of CPython's suite in a sandbox and reports each as it ends."""

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

conformance_files.install()

# The suite passes over what CPython cannot do on WASI. The question here is whether a sandbox can.
support.has_socket_support = True
support.is_wasi = False
socket_helper._bind_nix_socket_error = OSError("Unix sockets exist only as pairs")
socket_helper.has_gethostname = True
threading_helper.can_start_thread = True
support.verbose = 0
# `smtpd` looks at the name of the program.
sys.argv[:] = [""]
# Files of the suite's own would lie here.
support.SAVEDCWD = "/"
socket_helper.HOST = "localhost"


# CPython 3.14 has no child watchers any more. The suite takes this for one of the other systems.
def _no_watcher(self: object) -> None:
    raise NotImplementedError


_Policy = asyncio.unix_events._UnixDefaultEventLoopPolicy
_Policy.get_child_watcher = _no_watcher
asyncio.SafeChildWatcher = mock.Mock
asyncio.set_child_watcher = lambda watcher: None
# Pseudo-terminals, which WASI has none of, are imported at the top of a file.
sys.modules["tty"] = types.ModuleType("tty")
# Of CPython's C test module, only these numbers are used.
_limits = types.ModuleType("_testcapi")
_limits.INT_MAX, _limits.INT_MIN = 2**31 - 1, -(2**31)
_limits.LONG_MAX, _limits.LONG_MIN = 2**31 - 1, -(2**31)
_limits.UINT_MAX = _limits.ULONG_MAX = 2**32 - 1
_limits.USHRT_MAX, _limits.SHRT_MAX = 2**16 - 1, 2**15 - 1
sys.modules["_testcapi"] = _limits

# What the suite runs in threads, by module. The host makes it.
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

# Variables that threads of a module set.
SHARED = {"test.test_xmlrpc": ("ADDR", "PORT", "URL")}

# Marks the lines that are not the tests' own output.
MARK = "\x1e"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


def say(*fields: str) -> None:
    """Tell the driver something, in a line of its own."""
    assert sys.__stdout__ is not None
    text = "\x1f".join(field.replace("\n", "\x1d") for field in fields)
    sys.__stdout__.write(f"\n{MARK}{text}\n")
    sys.__stdout__.flush()


class Result(unittest.TestResult):
    """Reports every outcome at once: what hangs later takes nothing along."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__()
        self.quiet = quiet
        self.outcome = ("passed", "")

    def startTest(self, test: unittest.TestCase) -> None:
        """Name the test that runs now."""
        super().startTest(test)
        self.outcome = ("passed", "")
        conformance_host.begin(test)
        if not self.quiet:
            say("start", name(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        """Report how the test ended."""
        super().stopTest(test)
        if not self.quiet:
            say("end", name(test), *self.outcome)

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Stay with what is known."""

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Keep the suite's own reason."""
        if isinstance(test, unittest.TestCase):
            self.outcome = ("skipped", reason)
        else:
            say("fixture", str(test), "skipped", reason)

    def addFailure(self, test: Any, err: ExcInfo) -> None:
        """Keep the traceback."""
        if isinstance(test, unittest.TestCase):
            self.outcome = ("failed", described(err))
        else:
            say("fixture", str(test), "failed", described(err))

    addError = addFailure

    def addExpectedFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        """Pass: the suite says it cannot succeed."""

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """Fail, as unittest does."""
        self.outcome = ("failed", "unexpected success")

    def addSubTest(self, test: Any, subtest: Any, err: ExcInfo | None) -> None:
        """Keep the first part that fails."""
        if err is not None and self.outcome[0] == "passed":
            self.outcome = ("failed", f"{subtest}\n{described(err)}")


def described(err: ExcInfo) -> str:
    """The end of a traceback, and the exception."""
    return "".join(traceback.format_exception(*err, limit=-6))[-3000:]


def name(test: unittest.TestCase) -> str:
    """The test's name below `test.`."""
    return test.id().removeprefix("test.")


def tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """All tests of a suite in their order."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests(each)
        else:
            yield each


def load(module: str) -> unittest.TestSuite:
    """The tests of a file of the suite, as its own runner would find them."""
    # Newer suites ask for processes where it is threads that they need.
    support.has_subprocess_support = module == "test_ftplib"
    file = importlib.import_module(f"test.{module}")
    importlib.import_module("test.ssl_servers")
    for owner, names in ON_HOST.items():
        if owner in sys.modules:
            home = sys.modules[owner]
            if hasattr(home, "threading"):
                home.threading = conformance_host.Threads(owner, SHARED.get(owner, ()))
            for each in names:
                *path, last = each.split(".")
                place = functools.reduce(getattr, path, home)
                if hasattr(place, last):
                    setattr(place, last, conformance_host.Named(owner, each))
    if module == "test_smtplib":
        # Where its server prints to.
        printed = {**vars(io), "StringIO": conformance_host.Named("captured", "Stream")}
        file.io = types.SimpleNamespace(**printed)  # type: ignore[attr-defined]
    return unittest.defaultTestLoader.loadTestsFromModule(file)


def run(module: str, settled: list[str], listed: list[str], only: str | None, port: int) -> None:
    """Run a file's tests but those settled and listed, and report the name of each that there is.

    The host's half listens on `port`.
    """
    conformance_host.use(port)
    suite = load(module)
    names = [name(test) for test in tests(suite)]
    for each in names:
        say("found", each)
    out = {*settled, *listed}
    keep = {
        each
        for each in names
        if each not in out
        and each.rpartition(".")[0] + ".*" not in out
        and (only is None or only in each)
    }
    _retain(suite, keep)
    if module == "test_socket":
        _split(suite)
    suite.run(Result())
    say("done")


def _split(suite: unittest.TestSuite) -> None:
    """Have tests with two halves run with one of them on the host."""
    import conformance_socket

    conformance_socket.prepare()
    for test in tests(suite):
        if ways := conformance_socket.halves(test):
            test.run = functools.partial(_run_ways, test, ways)  # type: ignore[method-assign]


def _run_ways(test: unittest.TestCase, ways: list[Any], result: Result) -> None:
    result.startTest(test)
    for way in ways:
        again = type(test)(test._testMethodName)
        way(again, silent := Result(quiet=True))
        if result.outcome[0] == "passed":
            result.outcome = silent.outcome
    result.stopTest(test)


def _retain(suite: unittest.TestSuite, keep: set[str]) -> None:
    kept: list[Any] = []
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            _retain(each, keep)
            kept.append(each)
        elif name(each) in keep:
            kept.append(each)
    suite._tests = kept  # type: ignore[attr-defined]
