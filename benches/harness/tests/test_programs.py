"""The benchmark programs, run by the native interpreter against a test server."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading

import pytest

from adapters.native import Session
from benchmarks import BENCHMARKS, Program
from program_source import RESPONSE_BYTES, full_source
from worker_config import NginxPorts, WorkerConfig


class Handler(http.server.BaseHTTPRequestHandler):
    """Responds as the servers of the harness do."""

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
def config():
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    nginx = NginxPorts(port, 0, 0, RESPONSE_BYTES)
    yield WorkerConfig(port, 0, "", [], "", nginx)
    server.shutdown()
    thread.join()
    server.server_close()


PROGRAMS = {
    benchmark.rows[0].name: benchmark.workload
    for benchmark in BENCHMARKS
    if isinstance(benchmark.workload, Program)
    and not benchmark.workload.secure
    and not benchmark.workload.libraries
}


# Small values, since the test server is slow.
SMALL_CONSTANTS = {"BATCHES": 2, "COUNT": 3, "CONNECTIONS": 5, "TOTAL": 2**20}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_returns_a_measurement(config, name):
    program = PROGRAMS[name]
    constants = {key: SMALL_CONSTANTS.get(key, value) for key, value in program.constants.items()}
    program = dataclasses.replace(program, constants=constants)
    call = "__import__('asyncio').run(main())" if program.asynchronous else "main()"
    output = Session().execute(f"{full_source(program, config)}\nprint({call})")
    result = json.loads(output)
    measurements = result if isinstance(result, list) else [result]
    assert len(measurements) == (2 if program.quantiles else 1)
    assert all(measurement > 0 for measurement in measurements)
