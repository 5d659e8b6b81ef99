"""nginx, as a server that others wrote: one process, on ports that the kernel chooses."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

from worker_config import NginxPorts

# Where the packages of distributions install it.
FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/local/nginx/sbin"
# The sizes of the bodies that it serves, by path: the benchmarks use no other.
SERVED_BYTES = (20, 1024, 64 * 2**20)
# The seconds until it must listen.
START_TIMEOUT = 10.0

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    default_type application/octet-stream;
    root {prefix}/root;
    ssl_certificate {prefix}/certificate.pem;
    ssl_certificate_key {prefix}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{ listen 127.0.0.1:{plain}; }}
    server {{ listen 127.0.0.1:{x25519} ssl; ssl_ecdh_curve X25519; }}
    server {{ listen 127.0.0.1:{p384} ssl; ssl_ecdh_curve secp384r1; }}
}}
"""


class MissingError(Exception):
    """There is no nginx on this machine, or it does not start."""


@contextlib.contextmanager
def running(certificate: str, key: str, prefix: pathlib.Path) -> Iterator[tuple[int, NginxPorts]]:
    """Run nginx with its files in `prefix`, which is deleted first. Return the process ID and the
    ports. Raise `MissingError` if it cannot run."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{FOLDERS}")
    if program is None:
        raise MissingError("nginx is not installed (Debian: the package nginx-light)")
    # nginx takes a relative path as one below its prefix.
    prefix = prefix.absolute()
    shutil.rmtree(prefix, ignore_errors=True)
    (prefix / "root/bytes").mkdir(parents=True)
    for count in SERVED_BYTES:
        (prefix / f"root/bytes/{count}").write_bytes(b"x" * count)
    (prefix / "certificate.pem").write_text(certificate)
    (prefix / "key.pem").touch(mode=0o600)
    (prefix / "key.pem").write_text(key)
    plain, x25519, p384 = free_ports(3)
    configuration = prefix / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(prefix=prefix, plain=plain, x25519=x25519, p384=p384)
    )
    command = [program, "-p", str(prefix), "-e", str(prefix / "error.log"), "-c"]
    with subprocess.Popen([*command, str(configuration)], stdin=subprocess.DEVNULL) as process:
        try:
            response = first_response(plain, process, prefix / "error.log")
            yield process.pid, NginxPorts(plain, x25519, p384, len(response))
        finally:
            process.terminate()


def version() -> str:
    """Return the version of nginx and of its OpenSSL; "missing" without nginx."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{FOLDERS}")
    if program is None:
        return "missing"
    text = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    lines = [line for line in text.splitlines() if line.startswith(("nginx version", "built with"))]
    return ", ".join(line.partition(": ")[2] or line for line in lines)


def free_ports(count: int) -> list[int]:
    """Return different ports on which nothing listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def first_response(port: int, process: subprocess.Popen[bytes], log: pathlib.Path) -> bytes:
    """Wait until the server listens, and return its response with a body of 20 bytes."""
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=START_TIMEOUT)
            break
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                reason = log.read_text().strip().splitlines() if log.exists() else []
                text = reason[-1] if reason else str(error)
                raise MissingError(f"nginx does not start: {text}") from error
            time.sleep(0.01)
    with connection:
        connection.sendall(b"GET /bytes/20 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        response = b""
        while not response.endswith(b"\r\n\r\n" + b"x" * 20):
            data = connection.recv(4096)
            if not data:
                raise MissingError(f"nginx responds with {response!r}")
            response += data
        return response
