"""Fixtures: a web server on loopback, and a separate interpreter process."""

from __future__ import annotations

import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Callable

import pytest

# A shell script starts its background processes with SIGINT ignored, and child processes inherit
# that.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Site(http.server.BaseHTTPRequestHandler):
    """Answers every GET. ``/silent`` gets no answer until the server stops."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/silent":
            self.server.stopped.wait(30)  # type: ignore[attr-defined]
            return
        body = f"you asked for {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """The port of a web server on 127.0.0.1."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.stopped = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.stopped.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in a separate interpreter within 30 s. Its exit status must be `status`, unless
    that is ``None``."""

    def run(program: str, *, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        completed = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
        )
        if status is not None:
            assert completed.returncode == status, completed.stdout + completed.stderr
        return completed

    return run
