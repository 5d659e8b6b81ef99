//! What a program may reach, judged by what really leaves it.
//!
//! No test here dials anything outside loopback: what the policy allows is only looked up, unless it is a
//! server of the test's own.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eryx::net::policy::Reason;
use eryx::net::{Activity, End, Event, EventKind, NetConfig};
use eryx::{ExecuteResult, Sandbox};
use eryx_testkit::dns::notation::Vector;
use eryx_testkit::{Answer, Behaviour, LOOPBACK_V6, NameServer, Peer, Script, Transport};
use serde_json::json;

use crate::stage::{loopback, prints, program, sandbox, succeeded, told};

const VECTORS: &str = include_str!("../../../eryx-net-policy/tests/vectors/policy-default.tsv");

async fn run(config: NetConfig, constants: &serde_json::Value, text: &str) -> ExecuteResult {
    match sandbox(Some(config))
        .execute(program(constants, text))
        .await
    {
        Ok(result) => result,
        Err(error) => panic!("{}", told(&error)),
    }
}

async fn echo() -> Peer {
    Peer::plain(Behaviour::Echo).await.expect("started")
}

async fn names(script: Script) -> NameServer {
    NameServer::start(script).await.expect("started")
}

fn addresses<const N: usize>(list: [&str; N]) -> Answer {
    Answer::addresses(list).expect("addresses")
}

/// Every row of the default policy's vectors, from inside a guest, through the bindings and through
/// everything the standard library has for connecting.
#[tokio::test(flavor = "multi_thread")]
async fn every_vector_gets_its_verdict_in_a_guest() {
    let mut wrong = Vec::new();
    for vector in Vector::parse_file(VECTORS).expect("in the notation") {
        if let Err(problem) = judge(&vector).await {
            wrong.push(format!("{} ({}): {problem}", vector.input, vector.why));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn judge(vector: &Vector) -> Result<(), String> {
    let names = names(vector.script()).await;
    let config = NetConfig::default()
        .with_dns_server(names.address())
        .with_connect_timeout(Duration::from_secs(2))
        .expect("in range");
    let constants = json!({"HOST": vector.host, "LOOKUPS": vector.connect});
    // A name with several answers is looked up as often as the row says; the verdict is the last one's.
    let lookups = "
from componentize_py_types import Err
from wit_world.imports import resolver, tcp
def judged(step):
    try:
        return 'allowed', step()
    except Err as error:
        return type(error.value).__name__.removeprefix('Error_'), str(error.value.value)
for _ in range(LOOKUPS):
    verdict, text = judged(lambda: resolver.Lookup.start(HOST, 443, resolver.Family.ANY).finish(None))
print(verdict)
";
    let result = run(config.clone(), &constants, lookups).await;
    let verdict = result.stdout.trim();
    let expected = if vector.allow { "allowed" } else { "Denied" };
    if verdict != expected {
        return Err(format!("a lookup was {verdict}"));
    }
    let reported = result.network.connections.last().expect("a lookup");
    let agreed = reported
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.is_allowed() == vector.allow);
    if !agreed {
        return Err(format!("the report says {:?}", reported.verdict));
    }
    if vector.allow {
        return Ok(());
    }
    if vector.lookups.is_empty() && names.count() > 0 {
        return Err(format!("the name server was asked: {:?}", names.queries()));
    }
    if vector.connect > 1 {
        // The first connect would be allowed, and dial.
        return Ok(());
    }
    let connects = "
import asyncio, socket
import _eryx_async
from componentize_py_types import Err
from wit_world.imports import tcp
try:
    tcp.Connection.connect(HOST, 443).finish_connect(None)
except Err as error:
    print(type(error.value).__name__)
def by_family(family):
    with socket.socket(family) as s:
        s.settimeout(5)
        s.connect((HOST, 443))
print(outcome(by_family, socket.AF_INET))
print(outcome(by_family, socket.AF_INET6))
print(outcome(socket.create_connection, (HOST, 443), 5))
for begin in (asyncio.open_connection, _eryx_async.await_tcp_connect):
    try:
        print(await begin(HOST, 443))
    except Exception as error:
        print(described(error))
";
    let result = run(config, &constants, connects).await;
    let mut lines = result.stdout.lines();
    if lines.next() != Some("Error_Denied") {
        return Err(format!("a connect went on: {}", result.stdout));
    }
    // What is no host to CPython does not get as far as the policy.
    let refusals = [
        "PermissionError(EACCES)",
        "gaierror",
        "UnicodeEncodeError",
        "UnicodeError",
        "ValueError",
    ];
    for line in lines {
        if !refusals.contains(&line) {
            return Err(format!("it got as far as {line}"));
        }
    }
    for connection in &result.network.connections {
        if connection.address.is_some()
            || !matches!(connection.end, Some(End::Denied | End::Failed(_)))
        {
            return Err(format!("{connection:?}"));
        }
    }
    if vector.lookups.is_empty() && names.count() > 0 {
        return Err(format!("the name server was asked: {:?}", names.queries()));
    }
    Ok(())
}

/// Trap: only the requested text was matched, so that other spellings of loopback got through.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_loopback_reaches_a_listener() {
    let four = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = four.local_addr().expect("bound").port();
    // The port may be taken on version 6; then that half is not there to be reached.
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
            told = outcome(s.connect, (host, PORT))
        if told not in ('PermissionError(EACCES)', 'gaierror', 'UnicodeError'):
            print(repr(host), family.name, told)
print('done')
";
    let script = Script::new().otherwise(Answer::NameError);
    let names = names(script).await;
    let config = NetConfig::default().with_dns_server(names.address());
    assert_eq!(prints(config, &json!({"PORT": port}), text).await, "done\n");
    for listener in [Some(four), six].into_iter().flatten() {
        listener.set_nonblocking(true).expect("set");
        assert!(listener.accept().is_err(), "a connection came in");
    }
}

/// Trap: resolving, checking, then resolving again to dial.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_its_mind_is_judged_by_what_is_dialled() {
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
# One lookup of each type; what it found is what is dialled.
s = socket.socket()
s.connect(('rebind.test', PORT))
s.sendall(b'hello')
print(s.recv(5))
print(outcome(socket.socket().connect, ('rebind.test', PORT)))
print(outcome(socket.create_connection, ('rebind.test', PORT), 2))
";
    assert_eq!(
        prints(config, &json!({"PORT": echo.port()}), text).await,
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

/// An address the program was given counts as the name it stands for, without another lookup.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_from_getaddrinfo_is_dialled_without_asking_again() {
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
        prints(config, &json!({"PORT": echo.port()}), text).await,
        "PermissionError(EACCES)\nb'hello'\nNone PermissionError(EACCES)\n"
    );
    assert_eq!(names.asked("api.test"), 2, "A and AAAA, once");
}

/// Traps: only the first of several addresses was checked; private ones were filtered out of a mixed answer,
/// and the rest dialled.
#[tokio::test(flavor = "multi_thread")]
async fn one_forbidden_answer_refuses_the_name() {
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
        prints(config, &json!({"PORT": echo.port()}), text).await,
        "PermissionError(EACCES) PermissionError(EACCES) PermissionError(EACCES)\n".repeat(4)
            + "None\n"
    );
    echo.ended(1).await;
    assert_eq!(echo.connections(), 1);
}

/// Traps: an allow flag that restricted nothing; and names that no rule allows leaked to name servers.
#[tokio::test(flavor = "multi_thread")]
async fn an_allow_list_restricts_and_asks_no_name_server_about_others() {
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
        let verdict = connection.verdict.as_ref().expect("judged");
        assert_eq!(verdict.reason(), Reason::HostNotAllowed);
    }
    let text = "
import socket
for host in ('api.test', 'API.Test.', 'a.wild.test', 'a.b.wild.test'):
    print(outcome(socket.socket().connect, (host, PORT)))
";
    assert_eq!(
        prints(config, &json!({"PORT": echo.port()}), text).await,
        "None\n".repeat(4)
    );
}

/// Traps: a trailing dot slipped past a block; a block was undone by an allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_beats_an_allow_however_the_name_is_spelled() {
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
        prints(config, &json!({"PORT": echo.port()}), text).await,
        "PermissionError(EACCES)\n".repeat(8) + "PermissionError(EACCES) None None\n"
    );
    for name in ["db.corp.test", "a.internal.test", "xn--bcher-kva.test"] {
        assert_eq!(names.asked(name), 0, "{name}");
    }
}

/// Trap: `10.*` also matched the host name `10.evil.com`.
#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_for_addresses_is_none_for_names_that_begin_like_them() {
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
        prints(only_ten, &port, text).await,
        "PermissionError(EACCES)\n".repeat(3)
    );
    let not_ten = base.block_host("10.*").expect("a pattern");
    assert_eq!(prints(not_ten, &port, text).await, "None\n".repeat(3));
}

/// Trap: `[::1]` as a pattern never matched anything that can be dialled.
#[tokio::test(flavor = "multi_thread")]
async fn every_pattern_for_this_machine_blocks_it() {
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
            prints(config, &ports, text).await,
            format!("{on_four}\n{on_six}\n"),
            "{pattern}"
        );
    }
}

/// Trap: events were kept without bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_stays_small_whatever_a_program_tries() {
    let text = "
import socket
for number in range(5000):
    try:
        socket.getaddrinfo('x' * 60 + '.localhost', 80)
    except PermissionError:
        pass
";
    let report = run(NetConfig::default(), &json!({}), text).await.network;
    assert!(report.connections.len() <= 2000);
    assert_eq!(report.connections.len() as u64 + report.dropped, 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn exemptions_open_what_they_name_and_nothing_else() {
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
        let printed = prints(config.clone(), &json!({"PORT": port}), text).await;
        assert!(
            printed.starts_with(&expected),
            "{printed:?} is not {expected:?}... under {config:?}"
        );
    }
}

/// What a denial says to the program names what the program named, and what would change it; what a name
/// resolves to is the embedder's to know.
#[tokio::test(flavor = "multi_thread")]
async fn a_denial_never_tells_the_program_an_internal_address() {
    let script = Script::new()
        .answer("intranet.test", addresses(["10.98.76.54"]))
        .answer("www.test", Answer::alias("secret-name.test"))
        .answer("secret-name.test", addresses(["fd00::4711"]));
    let names = names(script).await;
    let config = NetConfig::default().with_dns_server(names.address());
    let text = "
import asyncio, socket, traceback, urllib.request, _eryx_async
async def told(call):
    try:
        found = call()
        if asyncio.iscoroutine(found):
            await found
    except OSError as error:
        print(''.join(traceback.format_exception(error)), repr(error), error.args, vars(error))
for host in ('intranet.test', 'www.test'):
    await told(lambda: socket.getaddrinfo(host, 80))
    await told(lambda: socket.create_connection((host, 80), 5))
    await told(lambda: urllib.request.urlopen(f'http://{host}/', timeout=5))
    await told(lambda: asyncio.open_connection(host, 80))
    await told(lambda: _eryx_async.await_tcp_connect(host, 80))
    s = socket.socket()
    s.setblocking(False)
    await told(lambda: s.connect((host, 80)))
    import select
    select.select([], [s], [], 5)
    await told(lambda: s.connect((host, 80)))
    print(outcome(s.getpeername), s.getsockname())
";
    let result = run(config, &json!({}), text).await;
    let printed = &result.stdout;
    for secret in ["10.98", "fd00", "4711", "secret-name"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
    assert!(printed.contains("intranet.test") && printed.contains("allow_internal_host"));
    let addresses: Vec<IpAddr> = result
        .network
        .connections
        .iter()
        .flat_map(|connection| connection.addresses.iter().copied())
        .collect();
    assert!(addresses.contains(&Ipv4Addr::new(10, 98, 76, 54).into()));
    let verdict = result.network.connections[0]
        .verdict
        .as_ref()
        .expect("judged");
    assert!(verdict.to_string().contains("10.98.76.54"), "{verdict}");
}

/// A server that is allowed does not lead a program to one that is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_an_internal_address_is_refused() {
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
        prints(loopback(), &json!({"PORT": peer.port()}), text).await,
        "PermissionError(EACCES) True\n"
    );
    assert_eq!(peer.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_network_asynchronous_calls_say_so_too() {
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
        succeeded(result),
        "PermissionError(EACCES) True True\n".repeat(4)
    );
}

/// The embedder sees every decision, and the end of everything that began, in order.
#[tokio::test(flavor = "multi_thread")]
async fn an_observer_is_told_of_decisions_and_ends() {
    let echo = echo().await;
    let names = names(Script::new().answer("api.test", addresses(["127.0.0.1"]))).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let sandbox = Sandbox::embedded()
        .with_network(loopback().with_dns_server(names.address()))
        .with_network_observer(Arc::new(move |event: &Event| {
            sink.lock().expect("whole").push(event.clone());
        }))
        .build()
        .expect("the settings are right");
    let text = "
import socket
s = socket.socket()
s.connect(('api.test', PORT))
s.sendall(b'hello')
s.recv(5)
s.close()
print(outcome(socket.socket().connect, ('10.0.0.1', 443)))
";
    let constants = json!({"PORT": echo.port()});
    let result = sandbox
        .execute(program(&constants, text))
        .await
        .expect("it ends");
    assert_eq!(result.stdout, "PermissionError(EACCES)\n");
    let seen = seen.lock().expect("whole");
    let kinds: Vec<_> = seen
        .iter()
        .map(|event| match &event.kind {
            EventKind::Resolved { .. } => "resolved",
            EventKind::Connected { address, .. } if *address == echo.address() => "connected",
            EventKind::Denied { .. } => "denied",
            EventKind::Closed {
                sent: 5,
                received: 5,
                end: End::ByProgram,
                ..
            } => "closed by the program",
            _ => "something else",
        })
        .collect();
    assert_eq!(
        kinds,
        ["resolved", "connected", "closed by the program", "denied"],
        "{seen:#?}"
    );
    let activities: Vec<_> = result
        .network
        .connections
        .iter()
        .map(|connection| (connection.what, connection.host.as_str(), connection.port))
        .collect();
    assert_eq!(
        activities,
        [
            (Activity::Connection, "api.test", Some(echo.port())),
            (Activity::Connection, "10.0.0.1", Some(443))
        ]
    );
}
