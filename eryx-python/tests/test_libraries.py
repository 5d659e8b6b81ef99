"""HTTP clients as they come from the package index, in sandboxes, against a real server."""

from __future__ import annotations

import glob
import pathlib

import pytest

import fake_internet

PROGRAMS = pathlib.Path(__file__).parent / "libraries"

# Each client, the module to import for it, and what its exceptions are called: for a timeout, for a host that is
# refused, for a certificate that is not trusted.
CLIENTS = {
    "requests": ("requests", "ReadTimeout", "ConnectionError", "SSLError"),
    "httpx": ("httpx", "ReadTimeout", "ConnectError", "ConnectError"),
    "httpx_async": ("httpx", "ReadTimeout", "ConnectError", "ConnectError"),
    "urllib3": ("urllib3", "ReadTimeoutError", "MaxRetryError", "MaxRetryError"),
    "urllib": (None, "TimeoutError", "URLError", "URLError"),
    "http_client": (None, "TimeoutError", "PermissionError", "SSLCertVerificationError"),
}

# Runs every program with the public names of the world allowed, and tells what each printed.
DRIVER = """
import json, os, sys
import eryx

given = json.load(sys.stdin)
authority = open(os.environ["ERYX_TESTKIT_CA"], "rb").read()
config = eryx.NetConfig(allowed_hosts=["*.example.com"])
factory = eryx.SandboxFactory(packages=given["wheels"], imports=given["imports"])
told = {}
for name, (program, trusted) in given["programs"].items():
    network = config.with_root_cert(authority) if trusted else config
    try:
        result = factory.create_sandbox(network=network).execute(program)
        told[name] = result.stdout + result.stderr
    except eryx.ExecutionError as error:
        told[name] = error.stdout + error.stderr + error.traceback
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, str]:
    """What every client printed, by its name and the scheme."""
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
    given = {"wheels": wheels, "imports": imports, "programs": programs}
    return fake_internet.run(DRIVER, given, tmp_path_factory.mktemp("libraries"))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_all_it_does_elsewhere(told, client, scheme):
    _, timeout, refused, _ = CLIENTS[client]
    assert told[f"{client} {scheme}"] == f"timeout {timeout}\nrefused {refused}\ndone\n"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_certificate_nobody_vouches_for_is_the_clients_own_exception(told, client):
    *_, untrusted = CLIENTS[client]
    assert told[f"{client} untrusted"] == f"untrusted {untrusted}\ndone\n"
