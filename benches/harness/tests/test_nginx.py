"""nginx as a server of the harness."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess

import pytest

import nginx
from benchmarks import NGINX, Program

# A certificate of its own, with a key on P-256.
REQUEST = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
    "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
)


def test_without_nginx_the_reason_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nginx, "FOLDERS", str(tmp_path))
    with (
        pytest.raises(nginx.MissingError, match="not installed"),
        nginx.running("", "", tmp_path / "prefix"),
    ):
        pass
    assert nginx.version() == "missing"


def test_an_nginx_that_does_not_start_is_an_error_with_its_last_message(monkeypatch, tmp_path):
    program = tmp_path / "nginx"
    program.write_text('#!/bin/sh\necho "[emerg] no such file" > "$4"; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with (
        pytest.raises(nginx.MissingError, match="no such file"),
        nginx.running("", "", tmp_path / "prefix"),
    ):
        pass


def test_every_program_has_a_body_that_nginx_serves():
    for benchmark in NGINX:
        assert isinstance(benchmark.workload, Program)
        assert benchmark.workload.constants.get("TOTAL", 20) in nginx.SERVED_BYTES


@pytest.mark.skipif(
    shutil.which("nginx", path=nginx.FOLDERS) is None or shutil.which("openssl") is None,
    reason="nginx or openssl is not installed",
)
def test_it_serves_a_body_in_plaintext_and_over_tls(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [*REQUEST.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    with nginx.running(certificate.read_text(), key.read_text(), tmp_path / "prefix") as (_, ports):
        for port in (ports.plain, ports.x25519, ports.p384):
            connection = socket.create_connection(("127.0.0.1", port))
            if port != ports.plain:
                context = ssl.create_default_context(cafile=str(certificate))
                connection = context.wrap_socket(connection, server_hostname="localhost")
            with connection:
                connection.sendall(b"GET /bytes/20 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                response = b""
                while len(response) < ports.response_bytes:
                    response += connection.recv(4096)
            assert response.endswith(b"x" * 20)
