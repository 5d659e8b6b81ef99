//! Concurrent connections with asyncio's streams and `_eryx_async`.
//!
//! Concurrency is proved by the server, which answers a group of requests only when all have
//! arrived, and not by a clock.

use std::sync::Arc;
use std::time::Duration;

use eryx::Sandbox;
use eryx::net::{Activity, EventKind, Recorder};
use eryx_testkit::{
    Answer, Behaviour, BlackHole, CertificateAuthority, ClosedPort, HttpServer, Leaf, NameServer,
    Peer, Script, payload,
};
use serde_json::json;

use crate::support::{
    error_details, expect_stdout, loopback, program, run_program, sandbox, start_peer, trusting,
};

async fn http() -> HttpServer {
    HttpServer::http().await.expect("started")
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_streams_run_concurrently() {
    let server = http().await;
    let text = "
import asyncio
async def fetch():
    reader, writer = await asyncio.open_connection('127.0.0.1', PORT)
    writer.write(b'GET /together/50 HTTP/1.0\\r\\n\\r\\n')
    answer = await reader.read()
    writer.close()
    return answer.endswith(b'ok')
print(sum(await asyncio.gather(*(fetch() for _ in range(50)))))
";
    let config = loopback().with_max_connections(50);
    assert_eq!(
        run_program(config, &json!({"PORT": server.port()}), text).await,
        "50\n"
    );
    assert_eq!((server.connections(), server.max_concurrent()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_over_tls_run_concurrently() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    let text = "
import asyncio
async def fetch():
    reader, writer = await asyncio.open_connection('site.test', PORT, ssl=True)
    writer.write(b'GET /together/20 HTTP/1.0\\r\\n\\r\\n')
    answer = await reader.read()
    writer.close()
    return answer.endswith(b'ok')
async with asyncio.TaskGroup() as group:
    tasks = [group.create_task(fetch()) for _ in range(20)]
print(sum(task.result() for task in tasks))
";
    let config = trusting(&ca).with_max_connections(20);
    assert_eq!(
        run_program(config, &json!({"PORT": server.port()}), text).await,
        "20\n"
    );
    assert_eq!(server.max_concurrent(), 20);
}

/// Regression: an event loop that ended with unclosed transports printed a warning for each.
#[tokio::test(flavor = "multi_thread")]
async fn closing_tls_streams_prints_nothing_on_stderr() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    let begin = "
import asyncio, gc
async def fetch(wait):
    reader, writer = await asyncio.open_connection('site.test', PORT, ssl=True)
    writer.write(b'GET / HTTP/1.0\\r\\n\\r\\n')
    answer = await reader.read()
    assert answer.startswith(b'HTTP/1.'), answer
    writer.close()
    if wait:
        await writer.wait_closed()
";
    let ends = [
        "await fetch(True)",
        "await fetch(False)",
        "asyncio.run(fetch(True))",
        "asyncio.run(fetch(False))",
        "await asyncio.gather(*(fetch(n % 2 == 0) for n in range(6)))\ngc.collect()",
        "await fetch(False)\ngc.collect()\nawait asyncio.sleep(0.05)\ngc.collect()",
    ];
    for end in ends {
        let text = program(&json!({"PORT": server.port()}), &format!("{begin}{end}\n"));
        match sandbox(Some(trusting(&ca))).execute(text).await {
            Ok(result) => assert_eq!(result.stderr, "", "{end}"),
            Err(error) => panic!("{end}: {}", error_details(&error)),
        }
    }
}

/// Regression: awaits did not overlap, and three gathered requests of 1 s took 3 s.
#[tokio::test(flavor = "multi_thread")]
async fn gathered_low_level_requests_overlap() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let plain = http().await;
    let secure = HttpServer::https(&identity).await.expect("started");
    let text = "
import asyncio, _eryx_async as net
REQUEST = b'GET /together/3 HTTP/1.0\\r\\n\\r\\n'
async def plain():
    tcp = await net.await_tcp_connect('127.0.0.1', PLAIN)
    assert await net.await_tcp_write(tcp, REQUEST) == len(REQUEST)
    answer = b''
    while part := await net.await_tcp_read(tcp, 4096):
        answer += part
    net.tcp_close(tcp)
    return answer[-2:]
async def secure():
    tcp = await net.await_tcp_connect('site.test', SECURE)
    tls = await net.await_tls_upgrade(tcp, 'site.test')
    await net.await_tls_write(tls, REQUEST)
    answer = b''
    while part := await net.await_tls_read(tls, 4096):
        answer += part
    net.tls_close(tls)
    return answer[-2:]
print(await asyncio.gather(plain(), plain(), plain()))
print(await asyncio.gather(secure(), secure(), secure()))
";
    let ports = json!({"PLAIN": plain.port(), "SECURE": secure.port()});
    assert_eq!(
        run_program(trusting(&ca), &ports, text).await,
        "[b'ok', b'ok', b'ok']\n[b'ok', b'ok', b'ok']\n"
    );
    assert_eq!((plain.max_concurrent(), secure.max_concurrent()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn low_level_calls_raise_the_errors_of_sockets() {
    let closed = ClosedPort::new().expect("created");
    let echo = start_peer(Behaviour::Echo).await;
    let names = NameServer::start(Script::new()).await.expect("started");
    let text = "
import asyncio, ssl, _eryx_async as net
async def result_of(awaitable):
    try:
        return await awaitable
    except Exception as error:
        return described(error)
print(await result_of(net.await_tcp_connect('127.0.0.1', CLOSED)))
print(await result_of(net.await_tcp_connect('169.254.169.254', 80)))
print(await result_of(net.await_tcp_connect('missing.test', 80)))
print(await result_of(net.await_tcp_read(4711, 1)), outcome(net.tcp_close, 4711))
tcp = await net.await_tcp_connect('127.0.0.1', ECHO)
print(await result_of(net.await_tls_upgrade(tcp, '10.0.0.1')))
print(await result_of(net.await_tcp_write(tcp, b'x')))
tcp = await net.await_tcp_connect('127.0.0.1', ECHO)
print(await result_of(net.await_tls_read(tcp, 1)), outcome(net.tls_close, tcp))
print(await net.await_tcp_write(tcp, bytearray(b'hello')), await net.await_tcp_read(tcp, 5))
";
    let ports = json!({"CLOSED": closed.address().port(), "ECHO": echo.port()});
    let config = loopback().with_dns_server(names.address());
    assert_eq!(
        run_program(config, &ports, text).await,
        "ConnectionRefusedError(ECONNREFUSED)\nPermissionError(EACCES)\ngaierror\n\
         OSError(EBADF) OSError(EBADF)\nPermissionError(EACCES)\nOSError(EBADF)\n\
         OSError(EBADF) OSError(EBADF)\n5 b'hello'\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_does_not_block_other_tasks() {
    let here = Answer::addresses(["127.0.0.1"]).expect("an address");
    let script = Script::new().otherwise(here.after(Duration::from_millis(500)));
    let names = NameServer::start(script).await.expect("started");
    let echo = start_peer(Behaviour::Echo).await;
    let text = "
import asyncio
ticks = 0
async def tick():
    global ticks
    while True:
        await asyncio.sleep(0.01)
        ticks += 1
ticking = asyncio.create_task(tick())
loop = asyncio.get_running_loop()
found = await asyncio.gather(*(loop.getaddrinfo(f'{n}.test', 80) for n in range(10)))
print(all(each[0][4] == ('127.0.0.1', 80) for each in found), ticks >= 5)
ticks = 0
reader, writer = await asyncio.open_connection('slow.test', PORT)
writer.write(b'hello')
print(await reader.readexactly(5), ticks >= 5)
ticking.cancel()
";
    let config = loopback().with_dns_server(names.address());
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "True True\nb'hello' True\n"
    );
    assert!(names.queries_for("9.test") > 0);
}

/// With a limit of one connection, connecting works again after each cancelled task.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_an_await_frees_its_connection() {
    let silent = start_peer(Behaviour::Silent).await;
    let hole = BlackHole::new().await.expect("created");
    let names = NameServer::start(Script::new().otherwise(Answer::Silence))
        .await
        .expect("started");
    let text = "
import asyncio, _eryx_async as net
async def cancelled_soon(awaitable):
    try:
        await asyncio.wait_for(awaitable, 0.1)
    except TimeoutError:
        return 'cancelled'
async def reconnect():
    reader, writer = await asyncio.open_connection('127.0.0.1', SILENT)
    writer.close()
    await writer.wait_closed()
    return 'reconnected'
async def read():
    reader, writer = await asyncio.open_connection('127.0.0.1', SILENT)
    try:
        await reader.read()
    finally:
        writer.close()
async def upgrade():
    tcp = await net.await_tcp_connect('127.0.0.1', SILENT)
    await net.await_tls_upgrade(tcp, '127.0.0.1')
for begin in (
    lambda: asyncio.open_connection('127.0.0.1', HOLE),
    lambda: asyncio.open_connection('127.0.0.1', SILENT, ssl=True),
    lambda: asyncio.open_connection('silent.test', 80),
    read,
    lambda: net.await_tcp_connect('127.0.0.1', HOLE),
    lambda: net.await_tcp_connect('silent.test', 80),
    upgrade,
):
    status = await cancelled_soon(begin())
    # asyncio closes a transport in the next iteration of its loop.
    await asyncio.sleep(0)
    print(status, await reconnect())
tcp = await net.await_tcp_connect('127.0.0.1', SILENT)
print(await cancelled_soon(net.await_tcp_read(tcp, 1)), await net.await_tcp_write(tcp, b'still open'))
";
    let ports = json!({"SILENT": silent.port(), "HOLE": hole.address().port()});
    let config = loopback()
        .with_max_connections(1)
        .with_dns_server(names.address());
    assert_eq!(
        run_program(config, &ports, text).await,
        "cancelled reconnected\n".repeat(7) + "cancelled 10\n"
    );
    let ended = silent.ended(11).await;
    assert_eq!(silent.connections(), 11);
    assert!(ended.iter().any(|end| end.received == 10));
}

/// Checks the order of events, not times: after each socket that the program closes, it looks up a
/// blocked name, which is an event.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_awaits_leave_no_connections_beyond_those_the_program_holds() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let silent = start_peer(Behaviour::Silent).await;
    let secure = Peer::tls(Behaviour::Silent, &identity)
        .await
        .expect("started");
    let hole = BlackHole::new().await.expect("created");
    let text = "
import asyncio, socket

def mark(name):
    try:
        socket.getaddrinfo(name, 80)
    except PermissionError:
        pass

genuine = socket.socket._real_close
def closing(self, *arguments):
    genuine(self, *arguments)
    mark('closed.test')
socket.socket._real_close = closing

reading = 0
async def read(host, port, **options):
    global reading
    reader, writer = await asyncio.open_connection(host, port, **options)
    reading += 1
    try:
        await reader.read()
    finally:
        writer.close()

begin = (
    lambda: read('127.0.0.1', SILENT),
    lambda: read('site.test', SECURE, ssl=True),
    # These two are never established.
    lambda: asyncio.open_connection('127.0.0.1', HOLE),
    lambda: asyncio.open_connection('site.test', SILENT, ssl=True),
)
tasks = [asyncio.create_task(start()) for start in begin for _ in range(25)]
while reading < 50:
    await asyncio.sleep(0.001)
for task in tasks:
    task.cancel()
await asyncio.gather(*tasks, return_exceptions=True)
# asyncio closes transports in the next iterations of its loop.
for _ in range(3):
    await asyncio.sleep(0)
mark('cancelled.test')
print(sum(task.cancelled() for task in tasks))
# The remaining connections are asyncio's, which waits for close_notify from the peer.
from eryx_net import descriptors
while descriptors.count() > 2:
    await asyncio.sleep(0.001)
mark('over.test')
";
    let config = trusting(&ca)
        .with_max_connections(100)
        .block_host("closed.test")
        .and_then(|config| config.block_host("cancelled.test"))
        .and_then(|config| config.block_host("over.test"))
        .expect("patterns");
    let recorder = Arc::new(Recorder::new(10_000));
    let sandbox = Sandbox::embedded()
        .with_network(config)
        .with_network_observer(Arc::clone(&recorder) as _)
        .build()
        .expect("built");
    let mut session = sandbox.session().await.expect("started");
    let ports = json!({
        "SILENT": silent.port(), "SECURE": secure.port(), "HOLE": hole.address().port()
    });
    let result = session.execute(program(&ports, text)).await;
    assert_eq!(expect_stdout(result), "100\n");

    let (mut connections, mut sockets) = (0, 0);
    for event in recorder.events() {
        match (&*event.host, &event.kind) {
            (_, EventKind::Closed { .. }) if event.activity == Activity::Connection => {
                connections += 1;
            }
            ("closed.test", EventKind::Denied { .. }) => {
                sockets += 1;
                assert!(
                    connections >= sockets,
                    "{sockets} sockets are closed, but only {connections} connections"
                );
            }
            ("cancelled.test", EventKind::Denied { .. }) => {
                assert!(connections >= 75, "{connections} were closed at once");
            }
            ("over.test", EventKind::Denied { .. }) => {
                assert_eq!((connections, sockets), (100, 100))
            }
            _ => {}
        }
    }
    assert_eq!((connections, sockets), (100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_task_group_closes_the_connections_of_its_tasks() {
    let silent = start_peer(Behaviour::Silent).await;
    let closed = ClosedPort::new().expect("created");
    let text = "
import asyncio
async def hold():
    reader, writer = await asyncio.open_connection('127.0.0.1', SILENT)
    try:
        await reader.read()
    finally:
        writer.close()
async def fail():
    await asyncio.sleep(0.1)
    await asyncio.open_connection('127.0.0.1', CLOSED)
try:
    async with asyncio.TaskGroup() as group:
        for task in (hold(), hold(), hold(), fail()):
            group.create_task(task)
except* ConnectionRefusedError as errors:
    print(len(errors.exceptions))
await asyncio.sleep(0)
import socket
print(len([socket.create_connection(('127.0.0.1', SILENT), 10) for _ in range(4)]))
";
    let ports = json!({"SILENT": silent.port(), "CLOSED": closed.address().port()});
    let config = loopback().with_max_connections(4);
    assert_eq!(run_program(config, &ports, text).await, "1\n4\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_to_a_slow_reader_delivers_everything() {
    let slow = start_peer(Behaviour::ReadsSlowly {
        piece: 64 * 1024,
        every: Duration::from_millis(1),
    })
    .await;
    let server = http().await;
    let text = "
import asyncio, hashlib
reader, writer = await asyncio.open_connection('127.0.0.1', SLOW)
digest, size = hashlib.sha256(), 0
for number in range(30):
    part = bytes([number]) * 100_000
    digest.update(part)
    writer.write(part)
    await writer.drain()
writer.write_eof()
print(await reader.read() == f'3000000 {digest.hexdigest()}\\n'.encode())
reader, writer = await asyncio.open_connection('127.0.0.1', PORT)
writer.write(b'GET /bytes/5000000 HTTP/1.0\\r\\n\\r\\n')
await reader.readuntil(b'\\r\\n\\r\\n')
body = await reader.read()
print(len(body), hashlib.sha256(body).hexdigest())
";
    let ports = json!({"SLOW": slow.port(), "PORT": server.port()});
    assert_eq!(
        run_program(loopback(), &ports, text).await,
        format!("True\n5000000 {}\n", payload::sha256(5_000_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn loop_socket_methods_and_happy_eyeballs_work() {
    let echo = start_peer(Behaviour::Echo).await;
    let script = Script::new().otherwise(
        // No server listens on the IPv6 address.
        Answer::addresses(["::1", "127.0.0.1"]).expect("addresses"),
    );
    let names = NameServer::start(script).await.expect("started");
    let text = "
import asyncio, socket
loop = asyncio.get_running_loop()
s = socket.socket()
s.setblocking(False)
await loop.sock_connect(s, ('127.0.0.1', PORT))
await loop.sock_sendall(s, b'hello' * 100_000)
received = bytearray()
while len(received) < 500_000:
    received += await loop.sock_recv(s, 65536)
print(bytes(received) == b'hello' * 100_000)
s.close()
for delay in (None, 0.05):
    reader, writer = await asyncio.open_connection('dual.test', PORT, happy_eyeballs_delay=delay)
    writer.write(b'x')
    print(await reader.readexactly(1), writer.get_extra_info('peername')[0])
    writer.close()
print(await asyncio.to_thread(sum, [1, 2, 3]), type(loop).__mro__[1].__name__)
";
    let config = loopback().with_dns_server(names.address());
    assert_eq!(
        run_program(config, &json!({"PORT": echo.port()}), text).await,
        "True\nb'x' 127.0.0.1\nb'x' 127.0.0.1\n6 _UnixSelectorEventLoop\n"
    );
}

/// Regression: asyncio was imported before the shims, so that it bound the real socket module.
#[tokio::test(flavor = "multi_thread")]
async fn the_standard_library_uses_the_shimmed_modules() {
    let text = "
import asyncio, http.client, select, selectors, smtplib, socket, ssl, sys, urllib.request
import asyncio.base_events, asyncio.selector_events, asyncio.sslproto
mine = sys.modules['_socket'].socket
print(all(module.socket is socket for module in (asyncio.base_events, asyncio.selector_events, http.client, smtplib, urllib.request, ssl.socket and asyncio.base_events)))
print(issubclass(socket.socket, mine), socket.socket.__mro__[1] is mine, mine.__module__, hasattr(mine, '__weakref__'))
print(ssl._ssl is sys.modules['_ssl'], asyncio.sslproto.ssl is ssl, selectors.select is select)
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "True\nTrue True _socket False\nTrue True True\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_an_impossible_event_raises_edeadlk() {
    let text = "
import asyncio, socket
async def forever():
    await asyncio.get_running_loop().create_future()
print(outcome(asyncio.run, forever()))
first, second = socket.socketpair()
print(outcome(first.recv, 1))
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "OSError(EDEADLK)\nOSError(EDEADLK)\n"
    );
}
