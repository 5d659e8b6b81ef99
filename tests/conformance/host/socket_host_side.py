"""The host side of `test_socket`: a test's server with its client in a sandbox, or the reverse.

Both run the suite's `ThreadableTest` without the thread of the other side.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import types
import unittest
from typing import Any

from test import test_socket

# The timeout of waiting for the other side, in seconds.
TIMEOUT = 10

_local = threading.local()
_connect = socket.socket.connect
_servers: dict[int, ServerSide] = {}


def connect(self: socket.socket, address: Any) -> None:
    """Connect. On a client side, accept a connection from the sandbox instead."""
    listener: socket.socket | None = getattr(_local, "listener", None)
    if listener is None:
        _connect(self, address)
        return
    accepted, _ = listener.accept()
    with accepted:
        timeout = self.gettimeout()
        os.dup2(accepted.fileno(), self.fileno())
        self.settimeout(timeout)


def start_new_thread(run: Any, arguments: Any) -> None:
    """Let the sandbox run the client."""
    _servers[id(run.__self__)].started.set()


def prepare() -> None:
    """Replace threads by the other side."""
    socket.socket.connect = connect  # type: ignore[method-assign]
    threads = types.SimpleNamespace(start_new_thread=start_new_thread, exit=lambda: None)
    test_socket.thread = threads
    # It would also wait for the threads that serve sandboxes.
    test_socket.threading_helper.wait_threads_exit = contextlib.nullcontext


class ServerSide:
    """A test that runs here without its client."""

    def __init__(self, name: str, method: str) -> None:
        self.case = getattr(test_socket, name)(method)
        self.started = threading.Event()
        self._result = unittest.TestResult()
        _servers[id(self.case)] = self
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.case.run(self._result)
        finally:
            del _servers[id(self.case)]
            self.started.set()

    def wait(self) -> bool:
        """Wait until the client can run. Returns whether there is one."""
        return self.started.wait(TIMEOUT) and hasattr(self.case, "server_ready")

    def outcome(self) -> tuple[str, str]:
        """Wait for the end of the test, and return its outcome."""
        self._thread.join(TIMEOUT)
        if self._thread.is_alive():
            return "failed", "the host side of the test does not end"
        for _, text in self._result.failures + self._result.errors:
            return "failed", text
        for _, reason in self._result.skipped:
            return "skipped", reason
        return "passed", ""


class ClientSide:
    """A test whose client runs here. The sandbox sets the attributes of `case`."""

    def __init__(self, name: str, method: str) -> None:
        self.case = getattr(test_socket, name)(method)
        self._method = getattr(self.case, "_" + method)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT)
        self.port = self._listener.getsockname()[1]

    def start(self) -> None:
        """Run the client in a thread, as the suite does."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        _local.listener = self._listener
        with self._listener:
            self.case.clientRun(self._method)
