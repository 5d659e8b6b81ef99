//! The network policy, checked by the connections and lookups that really take place.
//!
//! No test here connects outside loopback: other allowed hosts are only looked up.

use std::net::TcpListener;
use std::time::Duration;

use eryx::ExecuteResult;
use eryx::net::NetConfig;
use eryx::net::policy::Reason;
use eryx_testkit::{Answer, Behaviour, LOOPBACK_V6, NameServer, Peer, Script, Transport};
use serde_json::json;

use crate::support::{error_details, expect_stdout, loopback, program, run_program, sandbox};

pub(crate) async fn run(
    config: NetConfig,
    constants: &serde_json::Value,
    text: &str,
) -> ExecuteResult {
    match sandbox(Some(config))
        .execute(program(constants, text))
        .await
    {
        Ok(result) => result,
        Err(error) => panic!("{}", error_details(&error)),
    }
}

pub(crate) async fn echo() -> Peer {
    Peer::plain(Behaviour::Echo).await.expect("started")
}

pub(crate) async fn names(script: Script) -> NameServer {
    NameServer::start(script).await.expect("started")
}

pub(crate) fn addresses<const N: usize>(list: [&str; N]) -> Answer {
    Answer::addresses(list).expect("addresses")
}

/// Regression: only the given text was matched, so other spellings of loopback were allowed.
#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_loopback_is_denied() {
    let four = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = four.local_addr().expect("bound").port();
    // The port may be taken on IPv6; then there is no listener on that address.
    let six = TcpListener::bind(("::1", port)).ok();
    let text = "
import socket
hosts = '''127.0.0.1 127.0.0.2 127.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1.
localhost LOCALHOST localhost. foo.localhost ip6-localhost ::1 [::1] :: ::ffff:127.0.0.1 ::ffff:7f00:1
0:0:0:0:0:0:0:1 ::127.0.0.1 64:ff9b::7f00:1 1.0.0.127.in-addr.arpa'''.split() + ['']
for host in hosts:
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(family) as s:
            s.settimeout(2)
            result = outcome(s.connect, (host, PORT))
        if result not in ('PermissionError(EACCES)', 'gaierror', 'UnicodeError'):
            print(repr(host), family.name, result)
print('done')
";
    let script = Script::new().otherwise(Answer::NameError);
    let names = names(script).await;
    let config = NetConfig::default().with_dns_server(names.address());
    assert_eq!(
        run_program(config, &json!({"PORT": port}), text).await,
        "done\n"
    );
    for listener in [Some(four), six].into_iter().flatten() {
        listener.set_nonblocking(true).expect("set");
        assert!(listener.accept().is_err(), "a connection came in");
    }
}

/// Regression: a name was resolved and checked, and resolved again to connect.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebinding_name_is_checked_by_the_addresses_dialled() {
    let echo = echo().await;
    let script = Script::new()
        .answer("rebind.test", addresses(["127.0.0.1"]))
        .answer("rebind.test", addresses(["10.0.0.5"]));
    let names = names(script).await;
    let config = loopback()
        .with_dns_server(names.address())
        .with_connect_timeout(Duration::from_secs(2))
        .expect("in range");
    let text = "
import socket
# One lookup of each type: its result is the address dialled.
s = socket.socket()
s.connect(('rebind.test', PORT))
s.sendall(b'hello')
print(s.recv(5))
print(outcome(socket.socket().connect, ('rebind.test', PORT)))
print(outcome(socket.create_connection, ('rebind.test', PORT), 2))
";
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "b'hello'\nPermissionError(EACCES)\nPermissionError(EACCES)\n"
    );
    assert_eq!(echo.connections(), 1);
    let mut kinds: Vec<_> = names
        .queries()
        .into_iter()
        .map(|query| query.kind)
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["A", "A", "A", "AAAA", "AAAA", "AAAA"]);
}

/// An address that the program got for a name is treated as that name, without another lookup.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_from_getaddrinfo_is_dialled_without_another_lookup() {
    let echo = echo().await;
    let script = Script::new()
        .answer("api.test", addresses(["127.0.0.1"]))
        .answer("api.test", addresses(["10.0.0.5"]));
    let names = names(script).await;
    let config = loopback()
        .with_dns_server(names.address())
        .allow_host(&format!("api.test:{}", echo.port()))
        .expect("a pattern");
    let text = "
import socket
print(outcome(socket.socket().connect, ('127.0.0.1', PORT)))
s = socket.create_connection(('api.test', PORT), 10)
s.sendall(b'hello')
print(s.recv(5))
print(outcome(socket.socket().connect, ('127.0.0.1', PORT)), outcome(socket.socket().connect, ('127.0.0.1', PORT - 1)))
";
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "PermissionError(EACCES)\nb'hello'\nNone PermissionError(EACCES)\n"
    );
    assert_eq!(names.queries_for("api.test"), 2, "A and AAAA, once");
}

/// Traps: only the first of several addresses was checked; private addresses were filtered out of a
/// mixed answer, and the others dialled.
#[tokio::test(flavor = "multi_thread")]
async fn one_forbidden_address_denies_the_name() {
    let echo = echo().await;
    let script = Script::new()
        .answer("last.test", addresses(["127.0.0.1", "10.0.0.5"]))
        .answer("first.test", addresses(["10.0.0.5", "127.0.0.1"]))
        .answer("six.test", addresses(["127.0.0.1", "fd00::1"]))
        .answer("alias.test", Answer::alias("last.test"))
        .answer("fine.test", addresses(["127.0.0.1", "::1"]));
    let names = names(script).await;
    let config = loopback().with_dns_server(names.address());
    let text = "
import socket
for name in ('last.test', 'first.test', 'six.test', 'alias.test'):
    print(outcome(socket.getaddrinfo, name, PORT), outcome(socket.getaddrinfo, name, PORT, socket.AF_INET),
          outcome(socket.socket().connect, (name, PORT)))
print(outcome(socket.socket().connect, ('fine.test', PORT)))
";
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "PermissionError(EACCES) PermissionError(EACCES) PermissionError(EACCES)\n".repeat(4)
            + "None\n"
    );
    echo.ended(1).await;
    assert_eq!(echo.connections(), 1);
}

/// Traps: an allow list restricted nothing; names that no rule allows were sent to name servers.
#[tokio::test(flavor = "multi_thread")]
async fn names_outside_the_allow_list_are_denied_without_a_lookup() {
    let echo = echo().await;
    let names = names(Script::new().otherwise(addresses(["127.0.0.1"]))).await;
    let config = loopback()
        .with_dns_server(names.address())
        .with_allowed_hosts(["api.test", "*.wild.test"])
        .expect("patterns");
    let text = "
import socket, _eryx_async
for host in ('other.test', 'c2VjcmV0.other.test', 'xapi.test', 'api.test.other.test', 'sub.api.test', 'wild.test', '127.0.0.1'):
    print(outcome(socket.socket().connect, (host, PORT)), outcome(socket.getaddrinfo, host, PORT)[:15] if '.test' in host else '')
    try:
        await _eryx_async.await_tcp_connect(host, PORT)
    except PermissionError as error:
        print('allowed_hosts' in str(error), host.lower() in str(error))
";
    let result = run(config.clone(), &json!({"PORT": echo.port()}), text).await;
    assert_eq!(
        result.stdout,
        "PermissionError(EACCES) PermissionError\nTrue True\n".repeat(6)
            + "PermissionError(EACCES) \nTrue True\n"
    );
    assert_eq!(names.count(), 0);
    assert_eq!(echo.connections(), 0);
    for connection in &result.network.connections {
        let verdict = connection.verdict.as_ref().expect("checked");
        assert_eq!(verdict.reason(), Reason::HostNotAllowed);
    }
    let text = "
import socket
for host in ('api.test', 'API.Test.', 'a.wild.test', 'a.b.wild.test'):
    print(outcome(socket.socket().connect, (host, PORT)))
";
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "None\n".repeat(4)
    );
}

/// Traps: a trailing dot bypassed a block; an allow overrode a block.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_overrides_an_allow_in_every_spelling() {
    let echo = echo().await;
    let script = Script::new()
        .answer("alias.test", Answer::alias("c.internal.test"))
        .otherwise(addresses(["127.0.0.1"]));
    let names = names(script).await;
    let config = loopback()
        .with_dns_server(names.address())
        .allow_host("*.test")
        .and_then(|config| config.block_host("db.corp.test"))
        .and_then(|config| config.block_host("*.internal.test"))
        .and_then(|config| config.block_host("b\u{fc}cher.test"))
        .expect("patterns");
    let text = "
import socket
for host in ('db.corp.test', 'db.corp.test.', 'DB.Corp.Test', 'a.internal.test', 'a.b.INTERNAL.test.', 'b\\u00fccher.test', 'xn--bcher-kva.test', 'B\\u00dcCHER.test'):
    print(outcome(socket.socket().connect, (host, PORT)))
print(outcome(socket.socket().connect, ('alias.test', PORT)), outcome(socket.socket().connect, ('internal.test', PORT)), outcome(socket.socket().connect, ('xdb.corp.test', PORT)))
";
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "PermissionError(EACCES)\n".repeat(8) + "PermissionError(EACCES) None None\n"
    );
    for name in ["db.corp.test", "a.internal.test", "xn--bcher-kva.test"] {
        assert_eq!(names.queries_for(name), 0, "{name}");
    }
}

/// Regression: `10.*` also matched the host name `10.evil.com`.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_pattern_does_not_match_names_that_begin_alike() {
    let echo = echo().await;
    let script = Script::new()
        .answer("127.evil.test", addresses(["127.0.0.1"]))
        .answer("10.evil.test", addresses(["127.0.0.1"]));
    let names = names(script).await;
    let base = loopback().with_dns_server(names.address());
    let text = "
import socket
for host in ('127.evil.test', '10.evil.test', '127.0.0.1'):
    print(outcome(socket.socket().connect, (host, PORT)))
";
    let port = json!({"PORT": echo.port()});
    let only_ten = base.allow_host("10.*").expect("a pattern");
    assert_eq!(
        run_program(only_ten, &port, text).await,
        "PermissionError(EACCES)\n".repeat(3)
    );
    let not_ten = base.block_host("10.*").expect("a pattern");
    assert_eq!(run_program(not_ten, &port, text).await, "None\n".repeat(3));
}

/// Regression: the pattern `[::1]` never matched a host.
#[tokio::test(flavor = "multi_thread")]
async fn every_loopback_pattern_blocks_loopback() {
    let four = echo().await;
    let six = Peer::start(Behaviour::Echo, Transport::plain(), LOOPBACK_V6)
        .await
        .expect("started");
    let text = "
import socket
for host, port in (('127.0.0.1', FOUR), ('::1', SIX)):
    with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as s:
        print(outcome(s.connect, (host, port)))
";
    let ports = json!({"FOUR": four.port(), "SIX": six.port()});
    let denied = "PermissionError(EACCES)";
    for (pattern, on_four, on_six) in [
        ("[::1]", "None", denied),
        ("::1", "None", denied),
        ("[::1]:1-65535", "None", denied),
        ("::/64", "None", denied),
        ("::ffff:127.0.0.1", denied, "None"),
        ("127.*", denied, "None"),
        ("127.0.0.0/8", denied, "None"),
        ("*", denied, denied),
    ] {
        let config = NetConfig::permissive()
            .block_host(pattern)
            .expect("a pattern");
        assert_eq!(
            run_program(config, &ports, text).await,
            format!("{on_four}\n{on_six}\n"),
            "{pattern}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exemptions_apply_only_to_the_hosts_they_name() {
    let echo = echo().await;
    let port = echo.port();
    let names = names(Script::new().otherwise(addresses(["127.0.0.1"]))).await;
    let text = "
import socket
for host in ('db.test', 'other.test', '127.0.0.1', 'localhost'):
    print(outcome(socket.socket().connect, (host, PORT)), end=' ')
print(outcome(socket.socket().connect, ('db.test', PORT + 1)))
";
    let denied = "PermissionError(EACCES)";
    let base = NetConfig::default().with_dns_server(names.address());
    let cases = [
        (
            base.clone(),
            format!("{denied} {denied} {denied} {denied} {denied}\n"),
        ),
        (
            base.allow_internal_host(&format!("db.test:{port}"))
                .expect("a pattern"),
            format!("None {denied} {denied} {denied} {denied}\n"),
        ),
        (
            base.allow_network("127.0.0.1/32").expect("a network"),
            format!("None None None {denied} "),
        ),
        (base.allow_localhost(), "None None None None ".to_owned()),
        (
            base.with_blocked_hosts(Vec::<&str>::new())
                .expect("patterns"),
            "None None None None ".to_owned(),
        ),
    ];
    for (config, expected) in cases {
        let printed = run_program(config.clone(), &json!({"PORT": port}), text).await;
        assert!(
            printed.starts_with(&expected),
            "{printed:?} is not {expected:?}... under {config:?}"
        );
    }
}

/// An allowed server cannot redirect a program to a denied one.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_an_internal_address_is_denied() {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\
                    Content-Length: 0\r\nConnection: close\r\n\r\n";
    let peer = Peer::plain(Behaviour::Answers(redirect.into()))
        .await
        .expect("started");
    let text = "
import urllib.error, urllib.request
try:
    urllib.request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=10)
except urllib.error.URLError as error:
    print(described(error.reason), '169.254.169.254' in str(error))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "PermissionError(EACCES) True\n"
    );
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_low_level_calls_raise_that_networking_is_off() {
    let text = "
import asyncio, socket, _eryx_async
for begin in (
    lambda: asyncio.open_connection('example.com', 80),
    lambda: asyncio.open_connection('127.0.0.1', 80),
    lambda: asyncio.get_running_loop().getaddrinfo('example.com', 80),
    lambda: _eryx_async.await_tcp_connect('example.com', 80),
):
    try:
        await begin()
    except PermissionError as error:
        print(described(error), 'networking is off' in str(error), 'NetConfig' in str(error))
";
    let result = sandbox(None).execute(program(&json!({}), text)).await;
    assert_eq!(
        expect_stdout(result),
        "PermissionError(EACCES) True True\n".repeat(4)
    );
}
