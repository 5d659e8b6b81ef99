"""The user's page, as it is written: every Python block is cut out of it and run on a network on which the hosts it
names exist.

The page is kept beside the repository, at ``../shared/spec/networking.md``.
"""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest

import fake_internet

PAGE = pathlib.Path(__file__).parents[2].parent / "shared/spec/networking.md"

# Runs the blocks and tells, for each, what it printed, what its programs printed, and its last configuration. Where a
# block is about TLS, the authority of the servers is one of the roots; nothing else is added.
DRIVER = """
import contextlib, io, json, os, sys
import eryx

authority = open(os.environ["ERYX_TESTKIT_CA"], "rb").read()
with open("internal-ca.pem", "wb") as file:
    file.write(authority)
NetConfig, Sandbox, SandboxFactory = eryx.NetConfig, eryx.Sandbox, eryx.SandboxFactory


class Trusting:
    def __call__(self, **settings):
        return NetConfig(**settings).with_root_cert(authority)

    def permissive(self):
        return NetConfig.permissive().with_root_cert(authority)


class Factory:
    def __init__(self, **settings):
        self.factory = SandboxFactory(**settings)

    def create_sandbox(self, **settings):
        return self.factory.create_sandbox(on_stdout=seen.append, **settings)


eryx.SandboxFactory = Factory
told = []
for block in json.load(sys.stdin):
    printed, seen = io.StringIO(), []
    eryx.Sandbox = lambda **settings: Sandbox(on_stdout=seen.append, **settings)
    eryx.NetConfig = Trusting() if "https" in block or "443" in block else NetConfig
    names = {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "<page>", "exec"), names)
    config = names["config"].to_dict()
    told.append({"printed": printed.getvalue(), "programs": "".join(seen), "config": config})
print(json.dumps(told))
"""

GET = "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"

# What each block prints, and its programs: regular expressions, by the heading above the block.
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

# What the configurations of blocks that only configure something say.
CONFIGURED = {
    "Blocking Specific Hosts": {"blocked_hosts": ["*.internal.corp", "*.local"]},
    "Timeout Configuration": {"connect_timeout_ms": 5000, "io_timeout_ms": 10000},
    "Connection Limits": {"max_connections": 5},
}


def blocks() -> dict[str, str]:
    """The Python blocks by the heading above them."""
    found: dict[str, str] = {}
    heading = ""
    pattern = r"^#+ (?P<heading>[^\n]*)$|^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$"
    for match in re.finditer(pattern, PAGE.read_text(), re.MULTILINE | re.DOTALL):
        if match["heading"] is not None:
            heading = match["heading"]
        elif match["language"] == "python":
            assert heading not in found, f"two blocks under {heading}"
            found[heading] = match["code"]
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, dict[str, object]]:
    """What every block did."""
    require_page()
    directory = tmp_path_factory.mktemp("page")
    # The wheels the page names, and those it means by its dots.
    wheels = directory / "path/to"
    wheels.mkdir(parents=True)
    for wheel in pathlib.Path(fake_internet.libraries()).glob("*.whl"):
        project = wheel.name.split("-")[0]
        named = project in ("requests", "urllib3", "httpx")
        shutil.copy(wheel, wheels / (f"{project}.whl" if named else wheel.name))
    run = {name: code for name, code in blocks().items() if name in EXPECTED}
    return dict(zip(run, fake_internet.run(DRIVER, list(run.values()), directory)))


def require_page() -> None:
    if not PAGE.exists():
        fake_internet.skip(f"{PAGE} is not there")


@pytest.mark.parametrize("heading", EXPECTED)
def test_a_block_of_the_page_prints_what_it_should(told, heading):
    printed, programs = EXPECTED[heading]
    assert re.fullmatch(printed, told[heading]["printed"]), told[heading]
    assert re.fullmatch(programs, told[heading]["programs"]), told[heading]
    config = told[heading]["config"]
    assert {name: config[name] for name in CONFIGURED.get(heading, {})} == CONFIGURED.get(
        heading, {}
    )


def test_the_certificate_of_the_page_is_trusted(told):
    assert len(told["Custom Root Certificates"]["config"]["root_certs"]) == 1


def test_no_block_of_the_page_is_left_out():
    require_page()
    assert set(blocks()) == set(EXPECTED)
