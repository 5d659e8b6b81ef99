"""Proxies: the settings, and `requests` in a sandbox behind a proxy."""

from __future__ import annotations

import glob
import pickle

import pytest

import eryx
import fake_internet

URL = "http://proxy.example:3128"
SECRET = "http://us%40er:pa%3Ass@proxy.example:3128"


def test_settings_survive_every_serialisation():
    for config in (
        eryx.NetConfig(proxy=URL, no_proxy=["*.corp", "10.0.0.0/8"]),
        eryx.NetConfig(proxy="https://us%40er@proxy.example", proxy_resolves=True),
        eryx.NetConfig(proxy="socks5://[2001:db8::7]"),
        eryx.NetConfig(proxy="env"),
    ):
        assert pickle.loads(pickle.dumps(config)) == config
        assert eryx.NetConfig.from_dict(config.to_dict()) == config
        assert config.replace() == config != eryx.NetConfig()


def test_properties_return_the_settings():
    config = eryx.NetConfig(proxy=URL, no_proxy=["*.corp"], proxy_resolves=True)
    assert (config.proxy, config.no_proxy, config.proxy_resolves) == (URL, ["*.corp"], True)
    assert eval(repr(config)) == config
    default = eryx.NetConfig()
    assert (default.proxy, default.no_proxy, default.proxy_resolves) == (None, [], False)
    assert default.with_proxy(URL).bypass_proxy("*.corp") == config.replace(proxy_resolves=False)
    assert config.replace(proxy=None, proxy_resolves=False, no_proxy=[]) == default


def test_password_is_never_shown_or_written_down():
    config = eryx.NetConfig(proxy=SECRET, max_connections=3)
    shown = f"{config!r} {config.proxy}"
    assert shown.count("http://***@proxy.example:3128") == 2
    for secret in ("us@er", "us%40er", "pa:ss", "pa%3Ass"):
        assert secret not in shown
    # Other properties and methods do not need it.
    assert config.max_connections == 3
    assert config.replace(max_connections=4) == eryx.NetConfig(proxy=SECRET, max_connections=4)
    assert config != eryx.NetConfig(proxy=URL, max_connections=3)
    for write in (config.to_dict, lambda: pickle.dumps(config)):
        with pytest.raises(eryx.ConfigError, match="whose proxy has a password") as error:
            write()
        assert "pa:ss" not in str(error.value)
    # What `repr` shows is not taken for credentials.
    with pytest.raises(eryx.ConfigError, match=r"\*\*\*"):
        eval(repr(config))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proxy": "proxy.example:3128"}, "proxy: .* not a URL"),
        ({"proxy": "http://user:secret@proxy.example"}, "its port is missing"),
        ({"proxy": "socks5h://user:secret@proxy.example"}, "proxy_resolves"),
        ({"proxy_resolves": True}, "without a proxy"),
        ({"proxy": URL, "allowed_udp": ["192.0.2.7:53"]}, "allowed_udp"),
        (
            {"proxy": URL, "proxy_resolves": True, "allowed_hosts": ["10.0.0.0/8"]},
            "no name would be allowed",
        ),
        ({"no_proxy": ["a.*.b"]}, "no_proxy: `a.*.b`"),
        ({"proxy_root_certs": [b"junk"]}, "proxy_root_certs: .*BEGIN CERTIFICATE"),
    ],
)
def test_invalid_setting_is_rejected_without_the_password(settings, message):
    with pytest.raises(eryx.ConfigError, match=message) as error:
        eryx.NetConfig(**settings)
    assert "secret" not in str(error.value)
    with pytest.raises(eryx.ConfigError, match=message):
        eryx.NetConfig().replace(**settings)
    with pytest.raises(TypeError, match="proxy has to be a str"):
        eryx.NetConfig(proxy=3)


def test_methods_keep_a_config_valid():
    with pytest.raises(eryx.ConfigError, match="allowed_udp"):
        eryx.NetConfig(proxy=URL).allow_udp("192.0.2.7:53")
    with pytest.raises(eryx.ConfigError, match="allowed_udp"):
        eryx.NetConfig(allowed_udp=["192.0.2.7:53"]).with_proxy(URL)
    with pytest.raises(eryx.ConfigError, match="without a proxy"):
        eryx.NetConfig(proxy=URL, proxy_resolves=True).without_proxy()


def test_policy_file_with_proxy_resolves_warns(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(f"proxy = {URL!r}\nproxy_resolves = true\n")
    with pytest.warns(UserWarning, match="networks in blocked_hosts apply only where"):
        config = eryx.NetConfig.from_file(path)
    assert config == eryx.NetConfig(proxy=URL, proxy_resolves=True)


# Starts a proxy on loopback, which demands credentials and connects to any target, and runs the
# programs behind it: one with names that are resolved before the proxy, one with names that the proxy
# resolves. Returns their outputs, the targets, and the events about the proxy.
DRIVER = """
import base64, json, os, socket, sys, threading
import eryx

request = json.load(sys.stdin)
targets = []


def serve(client):
    stream = client.makefile("rb")
    target = stream.readline().split()[1].decode()
    fields = dict(line.decode().split(": ", 1) for line in iter(stream.readline, b"\\r\\n"))
    targets.append(target)
    given = fields.get("Proxy-Authorization", "").strip()
    if given != "Basic " + base64.b64encode(b"user:p@ss").decode():
        client.sendall(b"HTTP/1.1 407 Who\\r\\nContent-Length: 0\\r\\n\\r\\n")
        return client.close()
    host, port = target.rsplit(":", 1)
    server = socket.create_connection((host, int(port)))
    client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    threading.Thread(target=copy, args=(client, server), daemon=True).start()
    copy(server, client)


def copy(source, destination):
    try:
        while data := source.recv(65536):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def accept(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
port = listener.getsockname()[1]
ca = open(os.environ["ERYX_TESTKIT_CA"], "rb").read()
factory = eryx.SandboxFactory(packages=request["wheels"], imports=["requests"])
results = {}
for name, userinfo, resolves in (
    ("addresses", "user:p%40ss@", False),
    ("names", "user:p%40ss@", True),
    ("rejected", "user:wrong@", False),
    ("environment", "user:p%40ss@", False),
):
    url = f"http://{userinfo}127.0.0.1:{port}"
    if name == "environment":
        os.environ["https_proxy"], url = url, "env"
    config = eryx.NetConfig(
        allowed_hosts=["*.example.com"], proxy=url, proxy_resolves=resolves, root_certs=[ca]
    )
    events = []
    sandbox = factory.create_sandbox(network=config, on_network_event=events.append)
    targets.clear()
    output = sandbox.execute(request["program"]).stdout
    proxies = sorted({(e.event, e.proxy) for e in events if e.proxy})
    results[name] = {"output": output, "targets": targets[:], "proxies": proxies, "port": port}
print(json.dumps(results))
"""

PROGRAM = """
import requests
try:
    for _ in range(2):
        response = requests.get("https://api.example.com/", timeout=10)
        print(response.status_code, "Example Domain" in response.text)
except requests.ConnectionError as error:
    print(error)
try:
    requests.get("https://google.com/", timeout=10)
except requests.ConnectionError as error:
    print("`google.com:443` is denied" in str(error))
"""


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory):
    wheels = glob.glob(f"{fake_internet.libraries()}/*.whl")
    request = {"wheels": wheels, "program": PROGRAM}
    return fake_internet.run(DRIVER, request, tmp_path_factory.mktemp("proxy"))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("addresses", "93.184.215.15:443"),
        ("names", "api.example.com:443"),
        ("environment", "93.184.215.15:443"),
    ],
)
def test_requests_works_behind_a_proxy(behind_a_proxy, name, target):
    result = behind_a_proxy[name]
    assert result["output"] == "200 True\n200 True\nTrue\n"
    assert result["targets"] == [target] * 2
    assert result["proxies"] == [["connected", f"http://127.0.0.1:{result['port']}"]]


def test_rejected_credentials_are_an_error_that_does_not_name_the_proxy(behind_a_proxy):
    result = behind_a_proxy["rejected"]
    assert "does not accept the credentials of the embedder" in result["output"]
    for hidden in ("127.0.0.1", str(result["port"]), "wrong", "user:"):
        assert hidden not in result["output"]
    assert result["proxies"] == [["proxy-failed", f"http://127.0.0.1:{result['port']}"]]
