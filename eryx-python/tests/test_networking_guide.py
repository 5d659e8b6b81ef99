"""Runs every Python block of the networking guide, on a network with the hosts that the guide names.

The guide lies beside the repository, at ``../shared/spec/networking.md``.
"""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest

import fake_internet

GUIDE = pathlib.Path(__file__).parents[2].parent / "shared/spec/networking.md"

# Runs the blocks. Returns for each its output, the output of its programs, and its last
# configuration. For blocks about TLS, the CA of the servers is one of the roots; nothing else is added.
DRIVER = """
import contextlib, io, json, os, sys
import eryx

ca = open(os.environ["ERYX_TESTKIT_CA"], "rb").read()
with open("internal-ca.pem", "wb") as file:
    file.write(ca)
NetConfig, Sandbox, SandboxFactory = eryx.NetConfig, eryx.Sandbox, eryx.SandboxFactory


class Trusting:
    def __call__(self, **settings):
        return NetConfig(**settings).with_root_cert(ca)

    def permissive(self):
        return NetConfig.permissive().with_root_cert(ca)


class Factory:
    def __init__(self, **settings):
        self.factory = SandboxFactory(**settings)

    def create_sandbox(self, **settings):
        return self.factory.create_sandbox(on_stdout=seen.append, **settings)


eryx.SandboxFactory = Factory
results = []
for block in json.load(sys.stdin):
    printed, seen = io.StringIO(), []
    eryx.Sandbox = lambda **settings: Sandbox(on_stdout=seen.append, **settings)
    eryx.NetConfig = Trusting() if "https" in block or "443" in block else NetConfig
    names = {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "<guide>", "exec"), names)
    config = names["config"].to_dict()
    results.append({"printed": printed.getvalue(), "programs": "".join(seen), "config": config})
print(json.dumps(results))
"""

GET = "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"

# The output of each block and of its programs: regular expressions, by the heading above the block.
EXPECTED = {
    "Enabling Network Access": ("Connected!\n\n", "Connected!\n"),
    "Default Network Configuration": (
        r"Max connections: 10\nConnect timeout: 30000ms\nI/O timeout: 60000ms\n"
        r"Blocked hosts: \['localhost', '127\.\*', .*\]\n",
        "",
    ),
    "Allowing Specific Hosts (Whitelist)": (
        "",
        r"Connected to api\.example\.com\nBlocked: .*`google\.com:80` is denied: "
        r"nothing in allowed_hosts matches it.*\n",
    ),
    "Blocking Specific Hosts": ("", ""),
    "Allowing Localhost": ("True\nFalse\n", ""),
    "Permissive Configuration": (r"Max connections: 100\nBlocked hosts: \[\]\n", ""),
    "Timeout Configuration": ("", ""),
    "Using `requests`": (
        "",
        r"Status: 200\nBody: \{'greeting': 'hello', 'numbers': \[1, 2, 3\]\}\n",
    ),
    "Using `httpx`": ("", "Status: 200\n"),
    "Using `urllib` (Standard Library)": ("", "Status: 200\nGot expected content\n"),
    "TLS/SSL Support": ("", "TLS handshake complete\nGot HTTPS response\n"),
    "Custom Root Certificates": ("", ""),
    "Low-Level Async API": (
        "",
        rf"Connected with handle: \d+\nWrote {len(GET)} bytes\nRead [1-9]\d* bytes\nConnection closed\n",
    ),
    "TLS with Low-Level API": ("", r"TLS upgraded\nGot [1-9]\d* bytes via HTTPS\n"),
    "Connection Limits": ("", ""),
}

# The settings of blocks that only make a configuration.
CONFIGURED = {
    "Blocking Specific Hosts": {"blocked_hosts": ["*.internal.corp", "*.local"]},
    "Timeout Configuration": {"connect_timeout_ms": 5000, "io_timeout_ms": 10000},
    "Connection Limits": {"max_connections": 5},
}


def blocks() -> dict[str, str]:
    """Return the Python blocks by the heading above them."""
    by_heading: dict[str, str] = {}
    heading = ""
    pattern = r"^#+ (?P<heading>[^\n]*)$|^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$"
    for match in re.finditer(pattern, GUIDE.read_text(), re.MULTILINE | re.DOTALL):
        if match["heading"] is not None:
            heading = match["heading"]
        elif match["language"] == "python":
            assert heading not in by_heading, f"two blocks under {heading}"
            by_heading[heading] = match["code"]
    return by_heading


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, dict[str, object]]:
    """The result of every block, by its heading."""
    require_guide()
    directory = tmp_path_factory.mktemp("guide")
    # The wheels that the guide names, and their dependencies.
    wheels = directory / "path/to"
    wheels.mkdir(parents=True)
    for wheel in pathlib.Path(fake_internet.libraries()).glob("*.whl"):
        project = wheel.name.split("-")[0]
        named = project in ("requests", "urllib3", "httpx")
        shutil.copy(wheel, wheels / (f"{project}.whl" if named else wheel.name))
    run = {name: code for name, code in blocks().items() if name in EXPECTED}
    return dict(zip(run, fake_internet.run(DRIVER, list(run.values()), directory)))


def require_guide() -> None:
    if not GUIDE.exists():
        fake_internet.skip(f"{GUIDE} is not there")


@pytest.mark.parametrize("heading", EXPECTED)
def test_guide_block_prints_the_expected_output(results, heading):
    printed, programs = EXPECTED[heading]
    assert re.fullmatch(printed, results[heading]["printed"]), results[heading]
    assert re.fullmatch(programs, results[heading]["programs"]), results[heading]
    config = results[heading]["config"]
    assert {name: config[name] for name in CONFIGURED.get(heading, {})} == CONFIGURED.get(
        heading, {}
    )


def test_guide_root_certificate_is_trusted(results):
    assert len(results["Custom Root Certificates"]["config"]["root_certs"]) == 1


def test_every_block_of_the_guide_is_run():
    require_guide()
    assert set(blocks()) == set(EXPECTED)
