"""Who may use a server that listens for HTTP."""

from __future__ import annotations

import http.client
import json
import subprocess
import urllib.parse

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server import ERYX, listening, run

pytestmark = pytest.mark.anyio

TOKEN = "0123456789abcdef-test"


def post(url: str, headers: dict[str, str], path: str = "/mcp") -> int:
    """Send a request with these headers, and return the status of the response."""
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    discover = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        },
    }
    defaults = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    connection.request("POST", path, json.dumps(discover), {**defaults, **headers})
    status = connection.getresponse().status
    connection.close()
    return status


async def test_websites_cannot_reach_the_server():
    async with listening("--http-host", "mcp.example.com") as url:
        for headers, status in [
            ({}, 200),
            ({"Host": "localhost"}, 200),
            ({"Host": "mcp.example.com"}, 200),
            # A name that an attacker lets resolve to 127.0.0.1.
            ({"Host": "attacker.example"}, 403),
            ({"Host": "127.0.0.1.attacker.example"}, 403),
            ({"Origin": "https://attacker.example"}, 403),
            ({"Origin": "http://localhost:3000"}, 403),
            ({"Origin": "null"}, 403),
        ]:
            assert post(url, headers) == status, headers
        assert post(url, {}, "/") == 404


async def test_a_token_is_required_if_the_server_has_one(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    for option, env in [("env:MCP_TOKEN", {"MCP_TOKEN": TOKEN}), (f"file:{file}", {})]:
        async with listening("--http-token", option, env=env) as url:
            for header, status in [
                (None, 401),
                ("Bearer wrong", 401),
                (f"Basic {TOKEN}", 401),
                (f"Bearer {TOKEN}x", 401),
                (f"Bearer {TOKEN}", 200),
            ]:
                headers = {} if header is None else {"Authorization": header}
                assert post(url, headers) == status, header
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with (
                httpx2.AsyncClient(headers=headers) as session,
                Client(streamable_http_client(url, http_client=session)) as client,
            ):
                assert await run(client, "print(1)") == ["1\n"]


async def test_clients_beyond_the_limit_of_protocol_sessions_are_refused():
    async with listening() as url:
        statuses = [post(url, {}) for _ in range(70)]
        assert statuses == [200] * 64 + [503] * 6


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--http", "0.0.0.0:0"], "clients need a token"),
        (["--http", "[::]:0"], "clients need a token"),
        (["--http", "127.0.0.1:0", "--http-token", TOKEN], "not the token itself"),
        (["--http", "127.0.0.1:0", "--http-token", "env:ERYX_ABSENT"], "`ERYX_ABSENT` is not set"),
        (["--http", "127.0.0.1:0", "--http-token", "env:SHORT_TOKEN"], "visible ASCII characters"),
        (["--http-token", "env:MCP_TOKEN"], "--http"),
        (["--http-host", "a"], "--http"),
        (["--max-result", "10"], "at least 1024"),
        (["--max-sessions", "0"], "at least 1"),
        (["--har", "a.har"], "--har"),
    ],
)
def test_wrong_options_are_refused(options, part):
    completed = subprocess.run(
        [ERYX, "mcp", *options],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={"SHORT_TOKEN": "short"},
    )
    assert completed.returncode == 2, completed
    assert part in completed.stderr
    assert TOKEN not in completed.stderr
    assert completed.stdout == ""
