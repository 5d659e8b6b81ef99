//! What the embedder is told of a program's network, and what the program is not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use eryx::Sandbox;
use eryx::net::{Activity, End, Event, EventKind, NetConfig};
use eryx_testkit::{Answer, Script};
use serde_json::json;

use crate::policy::{addresses, echo, names, run};
use crate::stage::{loopback, program};

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
