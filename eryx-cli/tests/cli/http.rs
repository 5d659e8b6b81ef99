//! HTTP rules, secrets and the HTTP Archive, by their effect on a script.

use std::fs;

use eryx_testkit::{CertificateAuthority, Leaf, RequestRecorder};

use crate::command::{check, eryx, run, text};

const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

/// Sends a GET and a PUT with the placeholder of the secret, and prints what comes back.
const SCRIPT: &str = "
import os, urllib.error, urllib.request
headers = {'Authorization': 'Bearer ' + os.environ['TOKEN']}
for method, path in (('GET', '/user'), ('PUT', '/user'), ('GET', '/other')):
    request = urllib.request.Request(ROOT + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            print(method, path, response.status, os.environ['TOKEN'] in response.read().decode())
    except urllib.error.HTTPError as error:
        print(method, path, error.code, error.headers['content-type'])
    except OSError as error:
        print(method, path, 'http_rules' in str(error))
print(os.environ['TOKEN'][:5])
";

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_secrets_take_effect_and_requests_are_archived() {
    let authority = CertificateAuthority::new().expect("created");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("issued");
    // It sends the credentials back.
    let server = RequestRecorder::tls(&identity, |request| {
        RequestRecorder::ok(&String::from_utf8_lossy(request))
    });
    let server = server.await.expect("started");
    let folder = tempfile::tempdir().expect("created");
    let path = |name: &str| text(&folder.path().join(name));
    fs::write(path("ca.pem"), authority.pem()).expect("written");
    fs::write(path("token"), format!("{TOKEN}\n")).expect("written");
    let root = format!("https://localhost:{}", server.port());
    let script = format!("ROOT = {root:?}\n{SCRIPT}");
    let secret = format!("TOKEN=file:{}@localhost:{}", path("token"), server.port());
    let (certificate, archive) = (path("ca.pem"), path("requests.har"));
    let options = [
        ["--allow-host", "localhost"],
        ["--root-cert", &certificate],
        ["--http-rule", "GET localhost/user"],
        ["--secret", &secret],
        ["--har", &archive],
    ]
    .concat();
    let options = [&options[..], &["--allow-localhost"]].concat();
    for (more, denials) in [
        (&[][..], "PUT /user True\nGET /other True\n"),
        (
            &["--http-denials", "response"],
            "PUT /user 403 application/problem+json\nGET /other 403 application/problem+json\n",
        ),
    ] {
        let before = server.received().len();
        let args: Vec<String> = options
            .iter()
            .chain(more)
            .map(|arg| (*arg).to_owned())
            .collect();
        let script = script.clone();
        let output = tokio::task::spawn_blocking(move || {
            run(
                &args.iter().map(String::as_str).collect::<Vec<_>>(),
                &script,
            )
        });
        let output = output.await.expect("no panic");
        check(
            &output,
            0,
            &format!("GET /user 200 True\n{denials}eryx-\n"),
            "",
        );
        let received = server.received()[before..].concat();
        let received = String::from_utf8_lossy(&received).into_owned();
        assert!(received.contains(&format!("Bearer {TOKEN}")), "{received}");
        assert_eq!(received.matches("HTTP/1.1\r\n").count(), 1, "{received}");

        let archive = fs::read_to_string(path("requests.har")).expect("written");
        assert!(!archive.contains(TOKEN), "{archive}");
        let archive: serde_json::Value = serde_json::from_str(&archive).expect("JSON");
        assert_eq!(archive["log"]["version"], "1.2");
        let entries = archive["log"]["entries"].as_array().expect("a list");
        let requests: Vec<(&str, String)> = entries
            .iter()
            .map(|entry| {
                let request = &entry["request"];
                let method = request["method"].as_str().expect("a method");
                (
                    method,
                    request["url"].as_str().expect("a URL").replace(&root, ""),
                )
            })
            .collect();
        let expected = [("GET", "/user"), ("PUT", "/user"), ("GET", "/other")];
        assert_eq!(
            requests,
            expected.map(|(method, path)| (method, path.to_owned()))
        );
        assert_eq!(entries[0]["_secrets"][0], "TOKEN");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_has_the_requests_to_inspected_hosts_of_a_script_that_failed() {
    let server = RequestRecorder::plain(|_| RequestRecorder::ok("hello"));
    let server = server.await.expect("started");
    let folder = tempfile::tempdir().expect("created");
    let archive = text(&folder.path().join("requests.har"));
    let script = format!(
        "import urllib.request\n\
         urllib.request.urlopen('http://127.0.0.1:{}/page').read()\n\
         raise SystemExit(3)",
        server.port()
    );
    let args = [
        "--net",
        "--allow-localhost",
        "--inspect",
        "127.*",
        "--har",
        &archive,
    ];
    let args = args.map(str::to_owned);
    let output = tokio::task::spawn_blocking(move || {
        run(
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
            &script,
        )
    });
    check(&output.await.expect("no panic"), 3, "", "");
    let archive = fs::read_to_string(&archive).expect("written");
    let archive: serde_json::Value = serde_json::from_str(&archive).expect("JSON");
    let url = archive["log"]["entries"][0]["request"]["url"].as_str();
    assert!(url.is_some_and(|url| url.ends_with("/page")), "{archive}");
}

#[test]
fn a_denied_request_names_the_option_that_would_allow_it() {
    let output = run(
        &[
            "--allow-host",
            "127.0.0.1",
            "--allow-localhost",
            "--http-rule",
            "GET 127.0.0.1 /a",
        ],
        "
import socket
listener = socket.create_server(('127.0.0.1', 0))
print('loopback inside the sandbox is not inspected')
",
    );
    check(
        &output,
        0,
        "loopback inside the sandbox is not inspected\n",
        "",
    );
    let output = eryx(&[
        "policy",
        "check",
        "PUT",
        "https://a.example/user",
        "--http-rule",
        "GET a.example/user",
    ]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(
        out.contains("--http-rule 'PUT a.example/user' allows it"),
        "{out}"
    );
}

#[test]
fn check_prints_verdicts_on_requests() {
    let rule = ["--http-rule", "GET,HEAD a.example/repos/*"];
    let check_with = |targets: &[&str]| eryx(&[&["policy", "check"], targets, &rule[..]].concat());
    check(
        &check_with(&[
            "GET",
            "https://A.example/repos/site?page=2",
            "b.example:443",
        ]),
        0,
        "\
GET https://A.example/repos/site?page=2: allowed unless an address is blocked
  host:   a.example
  reason: listed
  rule:   `GET,HEAD a.example/repos/*` in http_rules
  `GET https://a.example/repos/site` is allowed if the addresses of its host are: \
`GET,HEAD a.example/repos/*` in http_rules matches it
b.example:443: allowed unless an address is blocked
  host:   b.example
  reason: not-blocked
  rule:   none
  `b.example:443` is allowed if its addresses are: nothing in blocked_hosts matches it, and \
allowed_hosts is empty
",
        "",
    );
    check(
        &check_with(&["DELETE", "https://a.example/repos/site", "GET", "https://10.0.0.1/"]),
        1,
        "\
DELETE https://a.example/repos/site: denied
  host:   a.example
  reason: method-not-allowed
  rule:   `GET,HEAD a.example/repos/*` in http_rules
  `DELETE https://a.example/repos/site` is denied: `GET,HEAD a.example/repos/*` in http_rules is for other \
methods; --http-rule 'DELETE a.example/repos/site' allows it
GET https://10.0.0.1/: denied
  host:   10.0.0.1
  reason: address-blocked
  rule:   `10.0.0.0/8` in blocked_hosts
  `10.0.0.1:443` is denied: `10.0.0.0/8` in blocked_hosts covers it; --allow-network 10.0.0.1 lifts that
",
        "",
    );
    let malformed = check_with(&["GET", "ftp://a.example/"]);
    let out = String::from_utf8_lossy(&malformed.stdout).into_owned();
    assert_eq!(malformed.status.code(), Some(1), "{out}");
    assert!(out.contains("none, the URL is malformed"), "{out}");
}

#[test]
fn show_writes_rules_and_the_places_of_secrets() {
    let folder = tempfile::tempdir().expect("created");
    let path = |name: &str| text(&folder.path().join(name));
    fs::write(path("token"), TOKEN).expect("written");
    let secret = format!("TOKEN=file:{}@api.example,b.example:443", path("token"));
    let options = [
        ["--http-rule", "GET,HEAD api.example/repos/* /user"],
        ["--http-rule", "b.example"],
        ["--secret", &secret],
        ["--secret", "HOME_FOLDER=env:HOME@api.example"],
        ["--inspect", "*.example:443"],
        ["--http-denials", "response"],
    ]
    .concat();
    let shown = eryx(&[&["policy", "show"], &options[..]].concat());
    let shown = String::from_utf8(shown.stdout).expect("text");
    for line in [
        "inspect = [\"*.example:443\"]",
        "http_denials = \"response\"",
        "[[http_rules]]",
        "host = \"b.example\"",
        "[secrets.TOKEN]",
        &format!("file = {:?}", path("token")),
        "[secrets.HOME_FOLDER]",
        "env = \"HOME\"",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "no {line} in\n{shown}"
        );
    }
    assert!(!shown.contains(TOKEN), "{shown}");
    fs::write(path("policy.toml"), &shown).expect("written");
    let again = eryx(&["policy", "show", "--policy", &path("policy.toml")]);
    check(&again, 0, &shown, "");

    // An option replaces the secret of the same name, and adds to rules.
    let other = "TOKEN=env:HOME@c.example";
    let changed = eryx(&[
        "policy",
        "show",
        "--policy",
        &path("policy.toml"),
        "--secret",
        other,
        "--http-rule",
        "c.example",
    ]);
    let changed = String::from_utf8(changed.stdout).expect("text");
    assert!(!changed.contains(&path("token")), "{changed}");
    assert_eq!(changed.matches("[[http_rules]]").count(), 3, "{changed}");
}

#[test]
fn a_rule_that_leaves_a_port_out_is_warned_about() {
    let args = [
        "--allow-host",
        "a.example",
        "--http-rule",
        "GET a.example:443/user",
    ];
    let output = run(&args, "print(1)");
    check(
        &output,
        0,
        "1\n",
        "eryx: warning: http_rules: `GET a.example:443/user` is for some ports",
    );
}

#[test]
fn a_mistake_in_an_http_option_is_exit_status_2_and_says_what_to_write() {
    let net = |option: &[&'static str]| [&["run", "-", "--net"], option].concat();
    for (args, part) in [
        (net(&["--http-rule", "get a.example"]), "write `GET`"),
        (net(&["--http-rule", "GET"]), "it has no host"),
        (net(&["--http-rule", "GET a.example/a*"]), "whole segment"),
        (
            net(&["--http-rule", "GET 10.0.0.1 /a"]),
            "has no effect where no connection may go",
        ),
        (net(&["--http-denials", "silent"]), "error, response"),
        (net(&["--inspect", "a.*.b"]), "not a host pattern"),
        (net(&["--secret", "TOKEN"]), "NAME=env:VARIABLE@HOST"),
        (
            net(&["--secret", "TOKEN=env:ERYX_IS_NOT_SET@a.example"]),
            "is not set",
        ),
        (
            net(&["--secret", "TOKEN=file:/nowhere/token@a.example"]),
            "cannot be read",
        ),
        (net(&["--secret", "TOKEN=env:HOME@*"]), "every host"),
        (
            net(&["--secret", "TOKEN=env:HOME@10.0.0.1"]),
            "has no effect where no connection may go",
        ),
        (
            net(&["--inspect", "a.example", "--har", "/nowhere/requests.har"]),
            "--har: cannot write",
        ),
        (vec!["policy", "check", "GET"], "`GET` has no URL behind it"),
        (
            vec!["policy", "check", "https://a.example/"],
            "write `GET https://a.example/`",
        ),
        (
            vec!["policy", "check", "--udp", "GET", "https://a.example/"],
            "--udp has no effect",
        ),
    ] {
        check(&eryx(&args), 2, "", part);
    }
}
