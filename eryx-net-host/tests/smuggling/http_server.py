"""A lenient origin: `http.server` of the standard library.

It writes one JSON object for each request to the file that is its argument, prints its port, and
ends at the end of its standard input. Like many handlers it compares `Transfer-Encoding` with
`chunked` only, accepts as a chunk size what `int` accepts, and takes any line end.
"""

import http.server
import json
import sys
import threading
from typing import Any, TextIO


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    log: TextIO
    lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        # Every method has a handler.
        if name.startswith("do_"):
            return self.handle_request
        raise AttributeError(name)

    def do_GET(self) -> None:
        self.handle_request()

    def do_HEAD(self) -> None:
        self.handle_request()

    def handle_request(self) -> None:
        try:
            body = self.read_body()
        except ValueError:
            self.send_error(400)
            return
        except EOFError:
            self.write_log(body=None)
            self.close_connection = True
            return
        self.write_log(body=body.decode("latin-1"))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.write_log(status=code)
        super().send_error(code, message, explain)

    def write_log(self, **fields: Any) -> None:
        entry = {"port": self.client_address[1], "line": self.requestline, **fields}
        # A request that is refused need not have a path or fields.
        if "body" in fields:
            entry["host"] = self.headers.get("Host")
            path = self.translate_path(self.path).removeprefix(self.directory)
            # It decodes surrogates, which JSON texts do not have.
            entry["uri"] = path.encode(errors="replace").decode()
        with self.lock:
            print(json.dumps(entry), file=self.log, flush=True)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self.read_chunks()
        return self.read_exactly(int(self.headers.get("Content-Length", "0")))

    def read_chunks(self) -> bytes:
        body = b""
        while size := int(self.read_line().split(b";")[0], 16):
            body += self.read_exactly(size)
            self.read_line()
        while self.read_line().strip():
            pass
        return body

    def read_exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def read_line(self) -> bytes:
        line = self.rfile.readline(65536)
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    # `server_close` waits for all handlers, so that the log is complete.
    daemon_threads = False
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def main() -> None:
    with open(sys.argv[1], "w") as Handler.log, Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
