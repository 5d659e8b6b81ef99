"""HTTP rules and secrets in sandboxes, with unmodified HTTP clients against a real server."""

from __future__ import annotations

import glob
import hashlib
import json

import pytest

import fake_internet

TOKEN = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz-very-secret"

# Each client defines `fetch(method, url, headers)`, which returns status and text.
CLIENTS = {
    "requests": """
import requests
session = requests.Session()
def fetch(method, url, headers={}, body=None):
    response = session.request(method, url, headers=headers, data=body, timeout=10)
    return response.status_code, response.text
""",
    "urllib3": """
import urllib3
pool = urllib3.PoolManager()
def fetch(method, url, headers={}, body=None):
    response = pool.request(method, url, headers=headers, body=body, timeout=10)
    return response.status, response.data.decode()
""",
    "httpx": """
import httpx
client = httpx.Client()
def fetch(method, url, headers={}, body=None):
    response = client.request(method, url, headers=headers, content=body, timeout=10)
    return response.status_code, response.text
""",
    "httpx_async": """
import asyncio, httpx
runner = asyncio.Runner()
client = httpx.AsyncClient()
def fetch(method, url, headers={}, body=None):
    request = client.request(method, url, headers=headers, content=body, timeout=10)
    response = runner.run(request)
    return response.status_code, response.text
""",
    "aiohttp": """
import asyncio, aiohttp
runner = asyncio.Runner()
async def exchange(method, url, headers, body):
    async with aiohttp.ClientSession() as session:
        timeout = aiohttp.ClientTimeout(10)
        async with session.request(
            method, url, headers=headers, data=body, timeout=timeout
        ) as response:
            return response.status, await response.text()
def fetch(method, url, headers={}, body=None):
    return runner.run(exchange(method, url, headers, body))
""",
    "urllib": """
import urllib.request, urllib.error
def fetch(method, url, headers={}, body=None):
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
""",
    "http_client": """
import http.client, urllib.parse
def fetch(method, url, headers={}, body=None):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=10)
    connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
    response = connection.getresponse()
    return response.status, response.read().decode()
""",
    "memory_bio": """
import socket, ssl, urllib.parse
def fetch(method, url, headers={}, body=None):
    parts = urllib.parse.urlsplit(url)
    sock = socket.create_connection((parts.hostname, 443), 10)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=parts.hostname)
    def run(step, *arguments):
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                data = sock.recv(4096)
                incoming.write(data) if data else incoming.write_eof()
            finally:
                sock.sendall(outgoing.read())
    run(tls.do_handshake)
    target = parts.path + ("?" + parts.query if parts.query else "")
    fields = "".join(f"{name}: {value}\\r\\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\\r\\n" if body else ""
    head = f"{method} {target} HTTP/1.1\\r\\nHost: {parts.hostname}\\r\\n{fields}{length}Connection: close\\r\\n\\r\\n"
    run(tls.write, head.encode() + (body or b""))
    received = b""
    while data := run(tls.read, 4096):
        received += data
    head, _, text = received.partition(b"\\r\\n\\r\\n")
    return int(head.split()[1]), text.decode()
""",
}

# A TLS implementation in Python, which the program brings along.
OWN_TLS = """
import socket
from tlslite.api import TLSConnection

def handshake(host):
    connection = TLSConnection(socket.create_connection((host, 443), 10))
    connection.handshakeClientCert(serverName=host)
    connection.sendall(f"GET /json HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    return connection.recv(15).decode()

for host in ("google.com", "api.example.com"):
    try:
        print(host, handshake(host))
    except OSError as error:
        print(host, type(error).__name__, error)
"""

# What every client does. It prints what it finds, for the test to compare.
SCENARIO = """
import gc, os, sys

def chain(error):
    parts = []
    while error is not None:
        parts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__ or next(
            (a for a in getattr(error, "args", ()) if isinstance(a, BaseException)), None
        )
    return " <- ".join(parts)

def attempt(name, *arguments, **options):
    try:
        print(name, *fetch(*arguments, **options))
    except Exception as error:
        print(name, "raised", chain(error).replace("\\n", " "))

token = os.environ["TOKEN"]
print("placeholder", token.startswith("eryx-"), len(token))
bearer = {"Authorization": f"Bearer {token}"}
attempt("digest", "GET", ROOT + "/authorization", bearer)
status, seen = fetch("GET", ROOT + "/headers", bearer)
print("reflected", token in seen)
attempt("method", "POST", ROOT + "/echo", bearer, body=b"x")
attempt("path", "GET", ROOT + "/status/404", bearer)
attempt("header", "GET", ROOT + "/headers", {"X-Other": token})
attempt("query", "GET", ROOT + "/headers?q=" + token)
attempt("other host", "GET", "https://example.com/headers", bearer)
attempt("again", "GET", ROOT + "/authorization", bearer)
real = REVERSED[::-1]
copies = [o for o in gc.get_objects() if isinstance(o, (str, bytes)) and o == real]
print("copies", len(copies), real in repr(dict(os.environ)))
"""

DRIVER = """
import json, os, sys, pickle
import eryx

request = json.load(sys.stdin)
ca = open(os.environ["ERYX_TESTKIT_CA"], "rb").read()
token = request["token"]
events = []
config = eryx.NetConfig(
    allowed_hosts=["*.example.com", "example.com", "google.com"],
    http_rules=[
        eryx.HttpRule("api.example.com", methods=["GET"], paths=["/authorization", "/headers"]),
        eryx.HttpRule("example.com"),
    ],
    secrets={"TOKEN": eryx.Secret(token, hosts=["api.example.com"])},
    http_denials=request["denials"],
).with_root_cert(ca)
factory = eryx.SandboxFactory(packages=request["wheels"], imports=request["imports"])
outputs = {}
for name, program in request["programs"].items():
    try:
        sandbox = factory.create_sandbox(
            network=config, on_network_event=lambda event: events.append(repr(event))
        )
        result = sandbox.execute(program)
        text, report = result.stdout + result.stderr, result.network
    except eryx.ExecutionError as error:
        text, report = error.stdout + error.stderr + error.traceback, error.network
    shown = repr(report) + repr(report.requests) + json.dumps(report.to_har())
    outputs[name] = {
        "text": text,
        "log": [(r.method, r.url, r.status, r.secrets) for r in report.requests],
        "leaks": [kind for kind, shown in (("text", text), ("report", shown)) if token in shown],
    }
shown = repr(config) + repr(config.to_dict()) + repr(events)
try:
    shown += repr(pickle.dumps(config))
    outputs["pickled"] = True
except Exception as error:
    outputs["pickled"] = str(error)
outputs["leaks"] = token in shown
print(json.dumps(outputs))
"""


def run(denials: str, directory) -> dict:
    wheels = glob.glob(f"{fake_internet.libraries()}/*.whl")
    assert len(wheels) >= 10
    constants = f"ROOT = 'https://api.example.com'\nREVERSED = {TOKEN[::-1]!r}\n"
    programs = {name: constants + client + SCENARIO for name, client in CLIENTS.items()}
    request = {
        "token": TOKEN,
        "denials": denials,
        "wheels": wheels,
        "imports": ["requests", "httpx", "urllib3", "aiohttp"],
        "programs": programs | {"own_tls": OWN_TLS},
    }
    return fake_internet.run(DRIVER, request, directory)


@pytest.fixture(scope="module")
def errors(tmp_path_factory) -> dict:
    """What every client printed where a denial is an error."""
    return run("error", tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def responses(tmp_path_factory) -> dict:
    """What every client printed where a denial is a response."""
    return run("response", tmp_path_factory.mktemp("secrets"))


def lines(output: dict) -> dict[str, str]:
    """The output of a client by the names of its attempts."""
    found = {}
    for line in output["text"].splitlines():
        for name in ("placeholder", "digest", "reflected", "method", "path", "header", "query",
                     "other host", "again", "copies"):  # fmt: skip
            if line.startswith(name + " "):
                found[name] = line[len(name) + 1 :]
    assert len(found) == 10, output["text"]
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_token_arrives_and_the_program_never_has_it(errors, client):
    output = lines(errors[client])
    assert output["placeholder"] == f"True {len(TOKEN)}"
    digest = hashlib.sha256(f"Bearer {TOKEN}".encode()).hexdigest()
    assert output["digest"] == output["again"] == f"200 {digest}"
    assert output["reflected"] == "True"
    assert output["copies"] == "0 False"
    assert errors[client]["leaks"] == []
    assert ["GET", "https://api.example.com/authorization", 200, ["TOKEN"]] in errors[client]["log"]


@pytest.mark.parametrize("client", CLIENTS)
def test_denial_is_an_error_that_names_rule_and_remedy(errors, client):
    output = lines(errors[client])
    for attempt, texts in {
        "method": ["POST https://api.example.com/echo", "http_rules"],
        "path": ["GET https://api.example.com/status/404", "http_rules"],
        "header": ["X-Other", "secret `TOKEN`"],
        "query": ["query parameter `q`", "secret `TOKEN`"],
        "other host": ["https://example.com", "secret `TOKEN`", "secrets.TOKEN.hosts"],
    }.items():
        assert " raised " in " " + output[attempt], output[attempt]
        for text in texts:
            assert text.lower() in output[attempt].lower(), output[attempt]
    # At once, except for the four GETs of clients that repeat idempotent requests on their own.
    attempts = {"urllib3": 1 + 4 * 4, "aiohttp": 1 + 4 * 2}.get(client, 5)
    log = errors[client]["log"]
    assert len([entry for entry in log if entry[2] is None]) == attempts, log


@pytest.mark.parametrize("client", CLIENTS)
def test_denial_can_be_a_response(responses, client):
    output = lines(responses[client])
    for attempt in ("method", "path", "header", "query", "other host"):
        status, _, body = output[attempt].partition(" ")
        assert status == "403", output[attempt]
        assert json.loads(body)["detail"], output[attempt]
    # No client tries a second time.
    log = responses[client]["log"]
    assert len([entry for entry in log if entry[2] is None]) == 5, log


def test_tls_of_the_program_does_not_reach_an_inspected_host(errors):
    other, inspected = errors["own_tls"]["text"].splitlines()
    assert other == "google.com HTTP/1.1 200 OK"
    assert inspected.startswith("api.example.com PermissionError"), inspected
    assert "neither HTTP/1.1 nor TLS" in inspected, inspected


def test_configuration_never_shows_a_secret(errors):
    assert errors["leaks"] is False
    assert "secret" in errors["pickled"]
