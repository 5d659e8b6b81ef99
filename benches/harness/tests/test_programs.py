"""The programs, run by the interpreter itself against a server of the test's own."""

from __future__ import annotations

import dataclasses
import http.server
import threading

import pytest

import text
from native import Session
from scenes import SCENES, Program
from settings import Settings


class Site(http.server.BaseHTTPRequestHandler):
    """Answers as the servers of the harness do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"x" * int(self.path.rpartition("/")[2])
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 100


@pytest.fixture(scope="module")
def settings():
    server = Server(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Settings(server.server_address[1], 0, "", [], "")
    server.shutdown()
    thread.join()
    server.server_close()


PROGRAMS = {
    scene.rows[0].name: scene.does
    for scene in SCENES
    if isinstance(scene.does, Program) and not scene.does.secure and not scene.does.libraries
}


# This server is slow.
SMALLER = {"BATCHES": 2, "COUNT": 3, "CONNECTIONS": 5, "TOTAL": 2**20}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_returns_a_figure(settings, name):
    program = PROGRAMS[name]
    constants = {key: SMALLER.get(key, value) for key, value in program.constants.items()}
    program = dataclasses.replace(program, constants=constants)
    call = "__import__('asyncio').run(main())" if program.asynchronous else "main()"
    printed = Session().execute(f"{text.whole(program, settings)}\nprint({call})")
    assert float(printed) > 0
