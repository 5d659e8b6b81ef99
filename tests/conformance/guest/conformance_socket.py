"""The sandbox side of `test_socket`: see `socket_host_side` of the host."""

from __future__ import annotations

import socket
import threading
import types
import unittest
from typing import Any

import conformance_host
from conformance_host import Named, Remote
from test import test_socket

_accept = socket.socket.accept
_client: Remote | None = None


def prepare() -> None:
    """Make the suite's `ThreadableTest` use the host side instead of threads."""
    test_socket.threading = conformance_host.Threads()
    test_socket.queue = types.SimpleNamespace(Queue=Named("queue", "Queue"))
    test_socket.thread = types.SimpleNamespace(start_new_thread=_start_client, exit=lambda: None)
    test_socket.ThreadableTest.__getattr__ = _get
    test_socket.ThreadableTest.__setattr__ = _set
    socket.socket.accept = _accept_or_connect  # type: ignore[method-assign]


def ways_to_run(test: unittest.TestCase) -> list[Any]:
    """Return the ways to run a test with one side on the host, or none if it has only one side."""
    if not isinstance(test, test_socket.ThreadableTest):
        return []
    if isinstance(test, test_socket.SocketPairTest):
        return [_run_both]
    if hasattr(test, "FILEDATA"):
        # The file exists only here.
        return [_run_client]
    connected = (test_socket.SocketConnectedTest, test_socket.ConnectedStreamTestMixin)
    if isinstance(test, connected):
        return [_run_server, _run_client]
    return [_run_client]


def _run_server(test: unittest.TestCase, result: unittest.TestResult) -> None:
    """Run a test without its client."""
    global _client
    host = Named("socket_host_side", "ClientSide")(type(test).__name__, test._testMethodName)
    _client = host
    events = [name for name, value in vars(test).items() if _is_event(value)]
    test.__dict__["_other_side"] = host.case
    for name in events:
        setattr(test, name, Named("threading", "Event")())
    try:
        unittest.TestCase.run(test, result)
    finally:
        _client = None


def _run_client(test: unittest.TestCase, result: unittest.TestResult) -> None:
    """Run the client of a test here, and the rest on the host."""
    method = test._testMethodName
    if hasattr(test, "FILEDATA"):
        Named("test.test_socket", type(test).__name__).FILEDATA = test.FILEDATA
    host = Named("socket_host_side", "ServerSide")(type(test).__name__, method)
    for name in [name for name, value in vars(test).items() if _is_event(value)]:
        delattr(test, name)
    result.startTest(test)
    crash = None
    if host.wait():
        test.__dict__["_other_side"] = host.case
        try:
            test.clientRun(getattr(test, "_" + method))  # type: ignore[attr-defined]
        except Exception as error:
            # From `clientTearDown` after a failed `clientSetUp`, whose error is reported as well.
            crash = error
            host.case.done.set()
    outcome, detail = host.outcome()
    if crash is not None and outcome == "passed":
        outcome, detail = "failed", repr(crash)
    test.__dict__.pop("_other_side", None)
    if outcome == "skipped":
        result.addSkip(test, detail)
    elif outcome == "failed":
        error = AssertionError("with its server on the host: " + detail)
        result.addFailure(test, (AssertionError, error, None))  # type: ignore[arg-type]
    result.stopTest(test)


def _run_both(test: unittest.TestCase, result: unittest.TestResult) -> None:
    """Run both ends of a pair here, one after the other, in an order that terminates."""
    method = test._testMethodName
    failures = []
    for names in ((method, "_" + method), ("_" + method, method)):
        copy: Any = type(test)(method)
        try:
            copy._ThreadableTest__setUp()
            try:
                for name in names:
                    getattr(copy, name)()
            finally:
                copy.cli.close()
                copy.tearDown()
        except unittest.SkipTest as skip:
            result.addSkip(test, str(skip))
            return
        except Exception as error:
            failures.append(error)
        else:
            return
    result.addFailure(test, (type(failures[0]), failures[0], failures[0].__traceback__))


def _is_event(value: Any) -> bool:
    return isinstance(value, (threading.Event, Remote))


def _start_client(run: Any, arguments: Any) -> None:
    assert _client is not None
    _client.start()


def _accept_or_connect(self: socket.socket) -> Any:
    if _client is None:
        return _accept(self)
    connection = socket.socket()
    connection.connect(("127.0.0.1", _client.port))
    return connection, connection.getpeername()


def _get(self: Any, name: str) -> Any:
    other = self.__dict__.get("_other_side")
    if other is None or name.startswith("__"):
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return getattr(other, name)


def _set(self: Any, name: str, value: Any) -> None:
    object.__setattr__(self, name, value)
    other = self.__dict__.get("_other_side")
    if other is not None and not name.startswith("_") and conformance_host.can_send(value):
        setattr(other, name, value)
