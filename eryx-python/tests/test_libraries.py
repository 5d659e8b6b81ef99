"""Unmodified HTTP clients in sandboxes, against a real server."""

from __future__ import annotations

import glob
import pathlib

import pytest

import fake_internet

PROGRAMS = pathlib.Path(__file__).parent / "libraries"

# Each client with its module, and its exceptions for a timeout, a denied host and an untrusted
# certificate.
CLIENTS = {
    "requests": ("requests", "ReadTimeout", "ConnectionError", "SSLError"),
    "httpx": ("httpx", "ReadTimeout", "ConnectError", "ConnectError"),
    "httpx_async": ("httpx", "ReadTimeout", "ConnectError", "ConnectError"),
    "urllib3": ("urllib3", "ReadTimeoutError", "MaxRetryError", "MaxRetryError"),
    "urllib": (None, "TimeoutError", "URLError", "URLError"),
    "http_client": (None, "TimeoutError", "PermissionError", "SSLCertVerificationError"),
}

# Runs every program, with the names below example.com allowed, and returns the output of each.
DRIVER = """
import json, os, sys
import eryx

request = json.load(sys.stdin)
ca = open(os.environ["ERYX_TESTKIT_CA"], "rb").read()
config = eryx.NetConfig(allowed_hosts=["*.example.com"])
factory = eryx.SandboxFactory(packages=request["wheels"], imports=request["imports"])
outputs = {}
for name, (program, trusted) in request["programs"].items():
    network = config.with_root_cert(ca) if trusted else config
    try:
        result = factory.create_sandbox(network=network).execute(program)
        outputs[name] = result.stdout + result.stderr
    except eryx.ExecutionError as error:
        outputs[name] = error.stdout + error.stderr + error.traceback
print(json.dumps(outputs))
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> dict[str, str]:
    """The output of every client, by its name and the scheme."""
    wheels = glob.glob(f"{fake_internet.libraries()}/*.whl")
    assert len(wheels) >= 10
    programs = {}
    scenario = (PROGRAMS / "scenario.py").read_text()
    for name in CLIENTS:
        adapter = (PROGRAMS / f"{name}.py").read_text()
        for scheme, trusted in (("http", True), ("https", True), ("https", False)):
            constants = f"ROOT = {scheme + '://api.example.com'!r}\nTRUSTED = {trusted}\n"
            key = f"{name} {scheme}" if trusted else f"{name} untrusted"
            programs[key] = (f"{constants}{adapter}\n{scenario}", trusted)
    imports = sorted({module for module, *_ in CLIENTS.values() if module})
    request = {"wheels": wheels, "imports": imports, "programs": programs}
    return fake_internet.run(DRIVER, request, tmp_path_factory.mktemp("libraries"))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("client", CLIENTS)
def test_http_client_behaves_as_outside_a_sandbox(outputs, client, scheme):
    _, timeout, refused, _ = CLIENTS[client]
    assert outputs[f"{client} {scheme}"] == f"timeout {timeout}\nrefused {refused}\ndone\n"


@pytest.mark.parametrize("client", CLIENTS)
def test_untrusted_certificate_raises_the_clients_own_exception(outputs, client):
    *_, untrusted = CLIENTS[client]
    assert outputs[f"{client} untrusted"] == f"untrusted {untrusted}\ndone\n"
