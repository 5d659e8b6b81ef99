"""The host's halves of `test_socket`: a test's server with its client in a sandbox, or the reverse.

Both run the suite's own `ThreadableTest`, but for the thread that would have been the other half.
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

# A half that waits longer than this has lost the other one.
LIMIT = 10

_local = threading.local()
_connect = socket.socket.connect
_servers: dict[int, ServerHalf] = {}


def connect(self: socket.socket, address: Any) -> None:
    """Connect; in a client half, take a connection that the sandbox has made."""
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
    """Leave the client to the sandbox."""
    _servers[id(run.__self__)].begun.set()


def prepare() -> None:
    """Put the halves in place of threads."""
    socket.socket.connect = connect  # type: ignore[method-assign]
    threads = types.SimpleNamespace(start_new_thread=start_new_thread, exit=lambda: None)
    test_socket.thread = threads
    # It would wait for the threads that serve sandboxes, too.
    test_socket.threading_helper.wait_threads_exit = contextlib.nullcontext


class ServerHalf:
    """A test, run here but for its client."""

    def __init__(self, name: str, method: str) -> None:
        self.case = getattr(test_socket, name)(method)
        self.begun = threading.Event()
        self._result = unittest.TestResult()
        _servers[id(self.case)] = self
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.case.run(self._result)
        finally:
            del _servers[id(self.case)]
            self.begun.set()

    def wait(self) -> bool:
        """Whether there is something for a client to do."""
        return self.begun.wait(LIMIT) and hasattr(self.case, "server_ready")

    def outcome(self) -> tuple[str, str]:
        """How the test ended."""
        self._thread.join(LIMIT)
        if self._thread.is_alive():
            return "failed", "the host's half of the test does not end"
        for _, text in self._result.failures + self._result.errors:
            return "failed", text
        for _, reason in self._result.skipped:
            return "skipped", reason
        return "passed", ""


class ClientHalf:
    """A test of which only the client runs here. The sandbox sets the attributes of `case`."""

    def __init__(self, name: str, method: str) -> None:
        self.case = getattr(test_socket, name)(method)
        self._method = getattr(self.case, "_" + method)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(LIMIT)
        self.port = self._listener.getsockname()[1]

    def start(self) -> None:
        """Run the client, as the suite's own thread would."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        _local.listener = self._listener
        with self._listener:
            self.case.clientRun(self._method)
