"""`HttpRule`, `Secret`, and the settings of `NetConfig` about HTTP requests."""

from __future__ import annotations

import asyncio
import copy
import gc
import http.server
import json
import pickle
import threading
import warnings
from collections.abc import Callable

import pytest

import eryx

TOKEN = "ghp_0123456789abcdefghij"

RULE = eryx.HttpRule(
    "api.example.com:443",
    methods=["GET", "PUT"],
    paths=["/user", "/repos/*"],
    query={"page": True, "token": False},
    max_request_bytes=0,
    max_response_bytes=10,
    upgrade=True,
)


def test_rule_has_its_settings_and_a_text_form():
    assert (RULE.host, RULE.methods, RULE.paths) == (
        "api.example.com:443",
        ["GET", "PUT"],
        ["/user", "/repos/*"],
    )
    assert RULE.query == {"page": True, "token": False}
    assert (RULE.max_request_bytes, RULE.max_response_bytes, RULE.upgrade) == (0, 10, True)
    assert str(RULE) == "GET,PUT api.example.com:443/user /repos/*"
    assert eval(repr(RULE)) == RULE
    minimal = eryx.HttpRule("*.Example.COM")
    assert (minimal.methods, minimal.paths, minimal.query, minimal.upgrade) == (
        None,
        None,
        {},
        False,
    )
    assert repr(minimal) == "eryx.HttpRule('*.example.com')"
    assert minimal != RULE
    for rule in (RULE, minimal):
        assert pickle.loads(pickle.dumps(rule)) == rule
        assert copy.copy(rule) is copy.deepcopy(rule) is rule
        assert hash(pickle.loads(pickle.dumps(rule))) == hash(rule)


def test_rules_are_given_as_objects_texts_and_dicts():
    text = "GET api.example.com/user"
    settings = {"host": "api.example.com", "methods": ["GET"], "paths": ["/user"]}
    rule = eryx.HttpRule("api.example.com", methods=["GET"], paths=["/user"])
    expected = eryx.NetConfig(http_rules=[rule])
    assert expected.http_rules == [rule]
    for other in (text, settings):
        assert eryx.NetConfig(http_rules=[other]) == expected
        assert eryx.NetConfig().with_http_rule(other) == expected
    assert eryx.NetConfig(http_rules=(r for r in [rule, RULE])).http_rules == [rule, RULE]
    assert eryx.NetConfig().http_rules == []


def test_configuration_with_rules_survives_every_form(tmp_path):
    config = eryx.NetConfig(
        http_rules=[RULE, "GET b.example"], inspect=["*:443"], http_denials="response"
    )
    assert (config.inspect, config.http_denials) == (["*:443"], "response")
    assert (eryx.NetConfig().inspect, eryx.NetConfig().http_denials) == ([], "error")
    assert eryx.NetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert eval(repr(config)) == config
    assert config.replace(max_connections=3).http_rules == config.http_rules
    assert config.replace(http_rules=[]).http_rules == []
    (tmp_path / "policy.toml").write_text(
        "inspect = ['*:443']\nhttp_denials = 'response'\n"
        "[[http_rules]]\nhost = 'api.example.com:443'\nmethods = ['GET', 'PUT']\n"
        "paths = ['/user', '/repos/*']\nmax_request_bytes = 0\nmax_response_bytes = 10\n"
        "upgrade = true\nquery = {page = true, token = false}\n"
        "[[http_rules]]\nhost = 'b.example'\nmethods = ['GET']\n"
    )
    with pytest.warns(UserWarning, match="no rule is for its port 80"):
        assert eryx.NetConfig.from_file(tmp_path / "policy.toml") == config


def test_check_http_checks_the_host_and_then_the_rules():
    config = eryx.NetConfig(
        allowed_hosts=["api.example.com", "192.0.2.7"], http_rules=["GET api.example.com/user"]
    )
    denied = config.check_http("PUT", "https://api.example.com/user?token=x")
    assert (denied.decision, denied.reason, denied.is_denied) == (
        "deny",
        "method-not-allowed",
        True,
    )
    assert (denied.rule, denied.rule_list) == ("GET api.example.com/user", "http_rules")
    assert (denied.host, denied.port, denied.addresses) == ("api.example.com", 443, [])
    assert str(denied).startswith("`PUT https://api.example.com/user` is denied: ")
    assert 'with_http_rule("PUT api.example.com/user") allows it' in str(denied)
    assert denied.guest_message == str(denied)
    assert pickle.loads(pickle.dumps(denied)) == denied
    allowed = config.check_http("GET", "https://API.example.com/user")
    assert (allowed.decision, allowed.reason) == ("needs-addresses", "listed")
    other = config.check_http("GET", "http://192.0.2.7:8080/")
    assert (other.reason, other.is_allowed, other.rule) == ("host-denied", False, "192.0.2.0/24")
    assert (other.rule_list, other.port, other.addresses) == ("blocked_hosts", 8080, ["192.0.2.7"])
    malformed = config.check_http("GET", "ftp://api.example.com/")
    assert (malformed.reason, malformed.host, malformed.port) == ("malformed-url", None, None)


def test_secret_has_no_attribute_and_no_form_with_its_value():
    secret = eryx.Secret(
        TOKEN,
        hosts=["api.example.com"],
        headers=["X-Key"],
        query=["key"],
        body=True,
        inject="Key {}",
        plaintext_hosts=["proxy.example.com:8080"],
    )
    assert (secret.hosts, secret.headers, secret.query) == (["api.example.com"], ["x-key"], ["key"])
    assert (secret.body, secret.inject) == (True, "Key {}")
    assert secret.plaintext_hosts == ["proxy.example.com:8080"]
    assert repr(secret) == "<eryx.Secret for api.example.com in x-key, ?key=, the body>"
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    values = [getattr(secret, name) for name in dir(secret) if not name.startswith("__")]
    config = eryx.NetConfig(secrets={"TOKEN": secret})
    shown = [values, secret, config, config.to_dict(), config.secrets, dir(secret)]
    for text in (repr(shown), str(shown), json.dumps(config.to_dict())):
        assert TOKEN not in text
    assert config.to_dict()["secrets"]["TOKEN"]["hosts"] == ["api.example.com"]
    for value in (secret, config):
        with pytest.raises(TypeError, match="cannot be pickled") as caught:
            pickle.dumps(value)
        assert TOKEN not in str(caught.value)


def test_configurations_with_secrets_are_compared_and_changed():
    config = eryx.NetConfig(secrets={"TOKEN": eryx.Secret(TOKEN, hosts=["api.example.com"])})
    same = eryx.NetConfig().with_secret("TOKEN", eryx.Secret(TOKEN, hosts=["api.example.com"]))
    assert config == same
    assert config != eryx.NetConfig().with_secret(
        "TOKEN", eryx.Secret("x", hosts=["api.example.com"])
    )
    assert config != eryx.NetConfig().with_secret("OTHER", config.secrets["TOKEN"])
    assert config.secrets["TOKEN"] == eryx.Secret(TOKEN, hosts=["api.example.com"])
    assert eryx.NetConfig(secrets=config.secrets) == config
    assert config.replace(max_connections=3).replace(max_connections=10) == config
    without = config.replace(secrets={})
    assert without == eryx.NetConfig()
    assert pickle.loads(pickle.dumps(without)) == without
    assert "secrets" not in without.to_dict()
    with pytest.raises(TypeError, match=r"secrets\['TOKEN'\]|Secret"):
        eryx.NetConfig.from_dict(config.to_dict())


def test_policy_file_names_the_place_of_a_secret(tmp_path, monkeypatch):
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("ERYX_TEST_TOKEN", TOKEN)
    (tmp_path / "policy.toml").write_text(
        "[secrets.A]\nfile = 'token'\nhosts = ['api.example.com']\n"
        "[secrets.B]\nenv = 'ERYX_TEST_TOKEN'\nhosts = ['api.example.com']\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = eryx.NetConfig.from_file(tmp_path / "policy.toml")
    assert sorted(config.secrets) == ["A", "B"]
    assert TOKEN not in repr(config)
    (tmp_path / "policy.toml").write_text(f"[secrets]\nA = '{TOKEN}'\n")
    with pytest.raises(eryx.ConfigError, match="does not have the value") as caught:
        eryx.NetConfig.from_file(tmp_path / "policy.toml")
    assert TOKEN not in str(caught.value)


@pytest.fixture
def recorder():
    """A web server that records the credentials of requests: its port, and the list of them."""
    seen: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            body = json.dumps(seen).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, seen
        server.shutdown()


FETCH = """
import urllib.request
for _ in range({count}):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:{port}/user", timeout=5).read().decode())
    except OSError as error:
        print(error)
"""


def plaintext(value: object, port: int) -> eryx.NetConfig:
    """Return a configuration that puts a secret into requests to the recorder, in clear text."""
    host = f"127.0.0.1:{port}"
    secret = eryx.Secret(
        value,  # type: ignore[arg-type]
        hosts=[host],
        plaintext_hosts=[host],
        inject="Bearer {}",
    )
    return eryx.NetConfig(secrets={"TOKEN": secret}).allow_localhost()


@pytest.mark.parametrize("keeps", ["config", "secrets", "sandbox", "session", "fork", "execution"])
def test_function_of_a_secret_is_called_as_long_as_something_has_it(recorder, keeps):
    port, seen = recorder
    program = FETCH.format(port=port, count=1)

    def build() -> Callable[[], object]:
        network = plaintext(lambda: TOKEN, port)
        if keeps == "config":
            changed = network.allow_host(f"127.0.0.1:{port}").replace(io_timeout_ms=5000)
            return lambda: eryx.Sandbox(network=changed).execute(program)
        if keeps == "secrets":
            secrets = network.secrets
            network = eryx.NetConfig().allow_localhost().with_secret("NEW", secrets["TOKEN"])
            return lambda: eryx.Sandbox(network=network).execute(program)
        sandbox = eryx.Sandbox(network=network)
        if keeps == "sandbox":
            return lambda: sandbox.execute(program)
        if keeps == "execution":
            return lambda: asyncio.run(eryx.Sandbox(network=network).aexecute(program))
        session = sandbox.session()
        return lambda: (session.fork() if keeps == "fork" else session).execute(program)

    execute = build()
    gc.collect()
    execute()
    assert seen == [f"Bearer {TOKEN}"]


def test_value_is_put_into_requests_and_the_report_lists_them(recorder):
    port, seen = recorder
    events: list[eryx.NetworkEvent] = []
    sandbox = eryx.Sandbox(network=plaintext(TOKEN, port), on_network_event=events.append)
    result = sandbox.execute(FETCH.format(port=port, count=2))
    assert seen == [f"Bearer {TOKEN}"] * 2
    # The server has sent it back, and the program has not got it.
    assert result.stdout.count("Bearer ") == 3
    assert TOKEN not in result.stdout
    first, second = result.network.requests
    assert (first.method, first.url, first.status) == ("GET", f"http://127.0.0.1:{port}/user", 200)
    assert (first.secrets, first.error, first.is_upgraded) == (["TOKEN"], None, False)
    assert first.verdict is not None
    assert (first.verdict.reason, first.verdict.is_allowed) == ("no-rules", True)
    assert first.sent_bytes > 0
    assert first.received_bytes > 0
    assert first.time_to_first_byte_ms is not None
    assert 0 < first.time_to_first_byte_ms <= first.duration_ms
    assert first.started <= second.started
    assert first.connection != second.connection
    assert first == pickle.loads(pickle.dumps(first)) != second
    assert repr(first) == f"<eryx.HttpRequestReport: GET http://127.0.0.1:{port}/user, 200>"
    report = pickle.loads(pickle.dumps(result.network))
    assert report == result.network
    assert (report.requests, report.dropped_requests) == ([first, second], 0)
    har = report.to_har()
    assert har["log"]["version"] == "1.2"
    assert [entry["request"]["url"] for entry in har["log"]["entries"]] == [first.url, second.url]
    [event, _] = [event for event in events if event.event == "http-request"]
    assert (event.method, event.url, event.status) == (first.method, first.url, first.status)
    assert (event.secrets, event.upgraded, event.id) == (["TOKEN"], False, first.connection)
    assert event.verdict == first.verdict
    for name, value in event.to_dict().items():
        if name != "verdict":
            assert getattr(event, name) == value
    assert TOKEN not in repr([events, result.network, result.network.requests, har])


def test_function_supplies_the_value_of_each_request(recorder):
    port, seen = recorder
    threads = set()

    def supply() -> str:
        threads.add(threading.get_ident())
        return f"token-number-{len(seen)}-0123456789"

    sandbox = eryx.Sandbox(network=plaintext(supply, port))
    assert "token-number" not in sandbox.execute(FETCH.format(port=port, count=2)).stdout
    assert seen == [f"Bearer token-number-{number}-0123456789" for number in (0, 1)]
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("supplied", [RuntimeError("internal detail"), 3, "a\nb", ""])
def test_function_that_fails_denies_the_request_without_its_reason(recorder, monkeypatch, supplied):
    port, seen = recorder
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", lambda error: unraisable.append(error.exc_value))

    def supply() -> object:
        if isinstance(supplied, Exception):
            raise supplied
        return supplied

    sandbox = eryx.Sandbox(network=plaintext(supply, port))
    printed = sandbox.execute(FETCH.format(port=port, count=1)).stdout
    assert "TOKEN" in printed
    assert "internal detail" not in printed
    assert seen == []
    assert bool(unraisable) == (not isinstance(supplied, str))


def test_denied_request_is_in_the_report_and_an_event(recorder):
    port, seen = recorder
    events: list[eryx.NetworkEvent] = []
    config = eryx.NetConfig(http_rules=["GET 127.0.0.1 /other"]).allow_localhost()
    sandbox = eryx.Sandbox(network=config, on_network_event=events.append)
    program = (
        "import urllib.request\n"
        "try:\n"
        f"    urllib.request.urlopen('http://127.0.0.1:{port}/user')\n"
        "except OSError as error:\n"
        "    print(error.reason)\n"
    )
    result = sandbox.execute(program)
    assert "`GET 127.0.0.1 /other` in http_rules is for other paths" in result.stdout
    assert seen == []
    [request] = result.network.requests
    assert request.status is None
    assert request.verdict is not None
    assert request.verdict.reason == "path-not-allowed"
    assert request.error is not None
    assert request.error in repr(request)
    [event] = [event for event in events if event.event == "http-denied"]
    assert (event.error, event.url) == (request.error, request.url)
    trial = eryx.Sandbox(network=config.replace(report_only=True), on_network_event=events.append)
    trial.execute(program)
    assert seen == [None]
    [event] = [event for event in events if event.event == "http-would-deny"]
    assert event.verdict is not None
    assert event.verdict.rule == "GET 127.0.0.1 /other"


def with_rule(**settings: object) -> eryx.NetConfig:
    rules: list[eryx.HttpRule | dict[str, object]] = [RULE, {"host": "a.example", **settings}]
    return eryx.NetConfig(http_rules=rules)


def secret(**settings: object) -> eryx.Secret:
    return eryx.Secret(TOKEN, **{"hosts": ["a.example"], **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: eryx.HttpRule(), TypeError, "host"),
        (lambda: eryx.HttpRule("a.example", ["GET"]), TypeError, "positional"),
        (lambda: eryx.HttpRule(3), TypeError, "host has to be a str"),
        (lambda: eryx.HttpRule("https://a.example"), eryx.ConfigError, "is a URL"),
        (lambda: eryx.HttpRule("a.example", methods="GET"), TypeError, r"write methods=\['GET'\]"),
        (lambda: eryx.HttpRule("a.example", methods=[]), eryx.ConfigError, "list of methods is empty"),
        (lambda: eryx.HttpRule("a.example", methods=["get"]), eryx.ConfigError, "write `GET`"),
        (lambda: eryx.HttpRule("a.example", methods=["*"]), eryx.ConfigError, "every method"),
        (lambda: eryx.HttpRule("a.example", methods=["TRACE"]), eryx.ConfigError, "cannot be allowed"),
        (lambda: eryx.HttpRule("a.example", paths=["user"]), eryx.ConfigError, "does not start with"),
        (lambda: eryx.HttpRule("a.example", paths=["/a/**/b"]), eryx.ConfigError, "write it last"),
        (lambda: eryx.HttpRule("a.example", query=["page"]), TypeError, "a dict from parameters"),
        (lambda: eryx.HttpRule("a.example", query={"page": 1}), TypeError, "True or False"),
        (lambda: eryx.HttpRule("a.example", query={"": True}), eryx.ConfigError, "empty name"),
        (lambda: eryx.HttpRule("a.example", max_request_bytes=-1), eryx.ConfigError, "negative"),
        (lambda: eryx.HttpRule("a.example", max_response_bytes="1"), TypeError, "whole number of bytes"),
        (lambda: eryx.HttpRule("a.example", upgrade=1), TypeError, "True or False"),
        (lambda: eryx.NetConfig(http_rules="GET a.example"), TypeError, "a list of eryx.HttpRule"),
        (lambda: eryx.NetConfig(http_rules={"host": "a.example"}), TypeError, "a list of eryx.HttpRule"),
        (lambda: eryx.HttpRule("a.example", path="/"), TypeError, r"no argument path: did you mean paths\?"),
        (lambda: eryx.NetConfig(http_rules=[3]), TypeError, r"http_rules\[0\] has to be an HttpRule, a str"),
        (lambda: eryx.NetConfig(http_rules=["GET"]), eryx.ConfigError, r"http_rules\[0\]: .*no host"),
        (lambda: with_rule(path="/"), eryx.ConfigError, r"http_rules\[1\] has no key \"path\": did you mean paths\?"),
        (lambda: with_rule(host=3), TypeError, r"http_rules\[1\]\[\"host\"\] has to be a str, not of type int"),
        (lambda: with_rule(host="a b"), eryx.ConfigError, r"http_rules\[1\]: `a b` is not a host pattern"),
        (lambda: with_rule(methods="GET"), TypeError, r"http_rules\[1\]\[\"methods\"\] .* list of str, not one str"),
        (lambda: with_rule(methods=["get"]), eryx.ConfigError, r"http_rules\[1\]: `get` .* write `GET`"),
        (lambda: with_rule(methods={"GET": 1}, paths={b"/"}), TypeError, r"\[\"paths\"\] .* each entry, not of type bytes"),
        (lambda: with_rule(query={"page": None}), TypeError, r"\[\"query\"\]\[\"page\"\] has to be True or False"),
        (lambda: with_rule(max_request_bytes=-1), eryx.ConfigError, r"^http_rules\[1\]\[\"max_request_bytes\"\]=-1: a number of bytes"),
        (lambda: with_rule(max_request_bytes=float("nan")), TypeError, r"\[\"max_request_bytes\"\] .*whole number of bytes"),
        (lambda: with_rule(upgrade="yes"), TypeError, r"\[\"upgrade\"\] has to be True or False"),
        (lambda: eryx.NetConfig(http_rules=[{}]), eryx.ConfigError, r"http_rules\[0\] has no \"host\": add one"),
        (lambda: eryx.NetConfig(http_rules=[{"host": "a.example", 1: 2}]), TypeError, r"a key of http_rules\[0\]"),
        (lambda: eryx.NetConfig(http_denials="silent"), eryx.ConfigError, "`error` or `response`"),
        (lambda: eryx.NetConfig(inspect="*"), TypeError, r"write inspect=\['\*'\]"),
        (lambda: eryx.NetConfig().check_http("GET", 3), TypeError, "url has to be a str"),
        (lambda: eryx.Secret(TOKEN), TypeError, "hosts"),
        (lambda: eryx.Secret(b"x", hosts=["a.example"]), TypeError, "a str, or a function"),
        (lambda: eryx.Secret("", hosts=["a.example"]), eryx.ConfigError, "Secret: the value is empty"),
        (lambda: eryx.Secret("a\nb", hosts=["a.example"]), eryx.ConfigError, "printable ASCII"),
        (lambda: secret(hosts=[]), eryx.ConfigError, "^the secret has no host"),
        (lambda: secret(hosts="a.example"), TypeError, r"write hosts=\['a.example'\]"),
        (lambda: secret(hosts=["*"]), eryx.ConfigError, "every host"),
        (lambda: secret(hosts=["a.*.b"]), eryx.ConfigError, "hosts: `a.*.b`"),
        (lambda: secret(headers=["Host"]), eryx.ConfigError, "name another field"),
        (lambda: secret(headers=[]), None, ""),
        (lambda: secret(query=[""]), eryx.ConfigError, "empty name"),
        (lambda: secret(body=1), TypeError, "True or False"),
        (lambda: secret(inject="Bearer"), eryx.ConfigError, "exactly one `{}`"),
        (lambda: secret(headers=["a", "b"], inject="{}"), eryx.ConfigError, "2 are named"),
        (lambda: secret(plaintext_hosts=["*"]), eryx.ConfigError, "every host"),
        (lambda: eryx.NetConfig(secrets=[secret()]), TypeError, "a dict from names"),
        (lambda: eryx.NetConfig(secrets={"A": TOKEN}), TypeError, r"an eryx.Secret, as in eryx.Secret\(value, hosts=.*\), not of type str"),
        (lambda: eryx.NetConfig(secrets={f"T{n}": secret() for n in range(51)}), eryx.ConfigError, "more than 50"),
        (lambda: eryx.NetConfig(secrets={"A-B": secret()}), eryx.ConfigError, "`A-B` is not the name"),
        (lambda: eryx.NetConfig(secrets={"A": secret(headers=[])}), eryx.ConfigError, "`A` is for no header"),
        (lambda: eryx.NetConfig().with_secret("A", secret()).with_secret("A", secret()), eryx.ConfigError, "there twice"),
    ],
)  # fmt: skip
def test_invalid_setting_is_rejected_with_what_to_write(make, error, message):
    if error is None:
        make()
        return
    with pytest.raises(error, match=message) as caught:
        make()
    assert TOKEN not in str(caught.value)
