//! Events and reports for the embedder, and data that must not leak to the program.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use eryx::net::{Activity, CloseReason, Event, EventKind, NetConfig};
use eryx::{CancelHandle, Error, ResourceLimits, Sandbox};
use eryx_sync::Mutex;
use eryx_testkit::{Answer, Behaviour, Peer, Script};
use serde_json::json;

use crate::policy::{addresses, echo, names, run};
use crate::support::{loopback, program, sandbox, timeout_of};

/// Regression: the number of recorded events was unbounded.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_entries_in_a_report_is_bounded() {
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

/// A denial names the host that the program named and the setting that would allow it. Only the
/// embedder learns the addresses of a name.
#[tokio::test(flavor = "multi_thread")]
async fn a_denial_never_reveals_an_internal_address_to_the_program() {
    let script = Script::new()
        .answer("intranet.test", addresses(["10.98.76.54"]))
        .answer("www.test", Answer::alias("secret-name.test"))
        .answer("secret-name.test", addresses(["fd00::4711"]));
    let names = names(script).await;
    let config = NetConfig::default().with_dns_server(names.address());
    let text = "
import asyncio, socket, traceback, urllib.request, _eryx_async
async def result_of(call):
    try:
        found = call()
        if asyncio.iscoroutine(found):
            await found
    except OSError as error:
        print(''.join(traceback.format_exception(error)), repr(error), error.args, vars(error))
for host in ('intranet.test', 'www.test'):
    await result_of(lambda: socket.getaddrinfo(host, 80))
    await result_of(lambda: socket.create_connection((host, 80), 5))
    await result_of(lambda: urllib.request.urlopen(f'http://{host}/', timeout=5))
    await result_of(lambda: asyncio.open_connection(host, 80))
    await result_of(lambda: _eryx_async.await_tcp_connect(host, 80))
    s = socket.socket()
    s.setblocking(False)
    await result_of(lambda: s.connect((host, 80)))
    import select
    select.select([], [s], [], 5)
    await result_of(lambda: s.connect((host, 80)))
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
        .expect("checked");
    assert!(verdict.to_string().contains("10.98.76.54"), "{verdict}");
}

/// The embedder sees every decision, and the end of everything that began, in order.
#[tokio::test(flavor = "multi_thread")]
async fn an_observer_receives_decisions_and_ends() {
    let echo = echo().await;
    let names = names(Script::new().answer("api.test", addresses(["127.0.0.1"]))).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let sandbox = Sandbox::embedded()
        .with_network(loopback().with_dns_server(names.address()))
        .with_network_observer(Arc::new(move |event: &Event| {
            sink.lock().push(event.clone());
        }))
        .build()
        .expect("valid settings");
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
        .expect("succeeds");
    assert_eq!(result.stdout, "PermissionError(EACCES)\n");
    let seen = seen.lock();
    let kinds: Vec<_> = seen
        .iter()
        .map(|event| match &event.kind {
            EventKind::Resolved { .. } => "resolved",
            EventKind::Connected { address, .. } if *address == echo.address() => "connected",
            EventKind::Denied { .. } => "denied",
            EventKind::Closed {
                sent: 5,
                received: 5,
                close_reason: CloseReason::LocalClose,
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
        .map(|connection| {
            (
                connection.activity,
                connection.host.as_str(),
                connection.port,
            )
        })
        .collect();
    assert_eq!(
        activities,
        [
            (Activity::Connection, "api.test", Some(echo.port())),
            (Activity::Connection, "10.0.0.1", Some(443))
        ]
    );
}

/// Regression: the way in which a program ended decided whether its report existed.
#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_of_a_program_includes_the_report() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let ends = [
        ("the end", "pass"),
        ("an exception", "1 / 0"),
        ("an exit status", "raise SystemExit(1)"),
        ("os._exit", "os._exit(3)"),
        ("abort", "os.abort()"),
        ("time", "while True: pass"),
        ("time in a call", "s.recv(1)"),
        ("memory", "x = 'x'\nwhile True: x += x"),
        ("output", "while True: print('x' * 1000)"),
        (
            "the stack",
            "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
        ),
        ("cancel", "print('sent', flush=True)\ns.recv(1)"),
    ];
    for (end, text) in ends {
        // A busy machine has the time to connect and to send.
        let limits = if end.starts_with("time") {
            timeout_of(3)
        } else {
            ResourceLimits::default()
        };
        let limits = limits.with_max_memory(64 << 20).with_max_output(100_000);
        let cancel = CancelHandle::new();
        let mut builder = Sandbox::embedded()
            .with_network(loopback())
            .with_resource_limits(limits);
        if end == "cancel" {
            let cancel = cancel.clone();
            builder = builder.on_stdout(move |_| cancel.cancel());
        }
        let text = format!(
            "import os, socket\ns = socket.create_connection(('127.0.0.1', {}))\ns.send(b'stolen')\n{text}",
            peer.port()
        );
        let sandbox = builder.build().expect("valid settings");
        let ended = sandbox.execute_cancellable(text, &cancel).await;
        let (network, execution, peak) = match &ended {
            Ok(result) => (&result.network, result.execution, result.peak_memory),
            Err(error) => {
                let usage = error.usage().expect("has started");
                assert_eq!(error.execution(), Some(usage.execution), "{end}");
                assert_eq!(error.network(), Some(&usage.network), "{end}");
                (&usage.network, usage.execution, usage.peak_memory)
            }
        };
        assert_eq!(ended.is_ok(), end == "the end", "{end}: {ended:?}");
        let [connection] = &network.connections[..] else {
            panic!("{end}: {network:?}");
        };
        assert_eq!(connection.port, Some(peer.port()), "{end}");
        assert_eq!((connection.sent, network.sent), (6, 6), "{end}");
        assert!(execution > 0 && peak > 1 << 20, "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_failed_execution_is_not_part_of_the_next() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let text = format!(
        "import socket\nsocket.create_connection(('127.0.0.1', {})).send(b'x')\n1 / 0",
        peer.port()
    );
    let error = session.execute(text).await.expect_err("raises");
    assert_eq!(error.network().expect("has started").sent, 1);
    let result = session.execute("import gc\ngc.collect()").await;
    let report = result.expect("succeeds").network;
    assert_eq!((report.sent, report.dropped), (0, 0));
    let over = session.execute("pass").await.expect("succeeds").network;
    assert_eq!(over.connections, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_session_includes_a_dropped_execution() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let text = format!(
        "import socket\ns = socket.create_connection(('127.0.0.1', {}))\ns.send(b'stolen')\ns.recv(1)",
        peer.port()
    );
    let wait = Duration::from_millis(500);
    tokio::time::timeout(wait, session.execute(text))
        .await
        .expect_err("dropped");
    let report = session.network_report();
    assert_eq!((report.connections.len(), report.sent), (1, 6));
    let over = session.execute("pass").await.expect_err("closed");
    assert!(matches!(over, Error::SessionClosed { .. }), "{over}");
    assert_eq!((over.execution(), over.network()), (None, None));
}

/// One observer of a sandbox receives the events of concurrent executions.
#[tokio::test(flavor = "multi_thread")]
async fn events_contain_the_number_of_their_execution() {
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let sandbox = Sandbox::embedded()
        .with_network(NetConfig::default())
        .with_network_observer(Arc::new(move |event: &Event| {
            sink.lock().push(event.clone());
        }))
        .build()
        .expect("valid settings");
    let connect = |host: &str, end: &str| {
        format!(
            "import socket\ntry: socket.create_connection(('{host}', 1))\nexcept OSError: pass\n{end}"
        )
    };
    let (first, second) = tokio::join!(
        sandbox.execute(connect("10.0.0.1", "pass")),
        sandbox.execute(connect("10.0.0.2", "1 / 0")),
    );
    let mut session = sandbox.session().await.expect("started");
    let third = session.execute(connect("10.0.0.3", "pass")).await;
    let fourth = session.execute(connect("10.0.0.4", "pass")).await;
    let mut executions = vec![
        ("10.0.0.1", first.expect("succeeds").execution),
        (
            "10.0.0.2",
            second.expect_err("raises").execution().expect("started"),
        ),
        ("10.0.0.3", third.expect("succeeds").execution),
        ("10.0.0.4", fourth.expect("succeeds").execution),
    ];
    let seen = seen.lock();
    let mut reported: Vec<_> = seen
        .iter()
        .map(|event| (&*event.host, event.execution))
        .collect();
    reported.sort_unstable();
    assert_eq!(reported, executions);
    executions.dedup_by_key(|(_, execution)| *execution);
    assert_eq!(executions.len(), 4, "the numbers are distinct");
}

/// The texts of an exception come from the program; the host formats them as one line.
#[tokio::test(flavor = "multi_thread")]
async fn exception_texts_cannot_forge_log_lines() {
    let text = "
E = type('Er\\nror', (Exception,), {})
raise E('a\\nINFO admin logged in\\x1b[31m\\u202e' + 'x' * 5000)
";
    let error = sandbox(None).execute(text).await.expect_err("raises");
    let line = error.to_string();
    assert!(
        line.contains("a\\nINFO admin logged in\\u{1b}[31m\\u{202e}xxx"),
        "{line}"
    );
    assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    assert!(line.chars().count() < 2200, "{}", line.len());
    let Error::Exception(exception) = error else {
        panic!("{error}")
    };
    assert!(exception.message.len() > 5000, "the field is not truncated");
}
