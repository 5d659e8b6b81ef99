"""Peers on loopback, and interpreters of their own for what a test must not do to itself."""

from __future__ import annotations

import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Callable

import pytest

# In the background of a script Ctrl-C is ignored, and would be in every process begun here.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Site(http.server.BaseHTTPRequestHandler):
    """Answers every GET, and nothing to ``/silent`` until the server ends."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/silent":
            self.server.over.wait(30)  # type: ignore[attr-defined]
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
    server.over = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.over.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in an interpreter of its own; it has to end in time, and well unless told otherwise."""

    def run(program: str, *, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
        )
        if status is not None:
            assert ended.returncode == status, ended.stdout + ended.stderr
        return ended

    return run
