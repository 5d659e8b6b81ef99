//! UDP: allowed destinations, replies, and errors.

use std::sync::Arc;

use eryx::net::{Activity, CloseReason, Event, EventKind, NetConfig, Recorder};
use eryx_testkit::{LOOPBACK, UdpPeer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{expect_stdout, loopback, program, run_program, sandbox, sandbox_with_limits};

async fn peer() -> UdpPeer {
    UdpPeer::start(LOOPBACK).await.expect("started")
}

/// Returns the loopback network with UDP allowed to `patterns`.
fn allowing(patterns: &[String]) -> NetConfig {
    patterns.iter().fold(loopback(), |config, pattern| {
        config.allow_udp(pattern).expect("a pattern")
    })
}

/// Returns the loopback network with UDP allowed to `peer`.
fn allowing_peer(peer: &UdpPeer) -> NetConfig {
    allowing(&[peer.address().to_string()])
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_are_exchanged_with_an_allowed_peer() {
    let peer = peer().await;
    let text = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
print(s.getsockname(), s.type.name, s.sendto(b'hello', ('127.0.0.1', PORT)))
print(s.recvfrom(100) == (b'hello', ('127.0.0.1', PORT)), s.getsockname()[1] > 0)
s.connect(('127.0.0.1', PORT))
print(s.send(b''), s.recv(100), s.getpeername() == ('127.0.0.1', PORT))
into = bytearray(10)
s.send(b'longer than that')
print(s.recvfrom_into(into) == (10, ('127.0.0.1', PORT)), into)
";
    assert_eq!(
        run_program(allowing_peer(&peer), &json!({"PORT": peer.port()}), text).await,
        "('0.0.0.0', 0) SOCK_DGRAM 5\nTrue True\n0 b'' True\n\
         True bytearray(b'longer tha')\n"
    );
    let sizes: Vec<_> = peer.received().iter().map(|(_, data)| data.len()).collect();
    assert_eq!(sizes, [5, 0, 16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_sockets_are_unsupported_unless_the_embedder_allows_udp() {
    let text = "
import socket
for family in (socket.AF_INET, socket.AF_INET6):
    print(outcome(socket.socket, family, socket.SOCK_DGRAM))
";
    for config in [None, Some(loopback()), Some(NetConfig::permissive())] {
        let printed = expect_stdout(sandbox(config).execute(program(&json!({}), text)).await);
        assert_eq!(
            printed,
            "OSError(EPROTONOSUPPORT)\nOSError(EPROTONOSUPPORT)\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_to_other_destinations_are_denied_with_the_reason_and_never_sent() {
    let (allowed, other) = (peer().await, peer().await);
    let text = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.2)
for destination in (('127.0.0.1', OTHER), ('10.0.0.1', PORT), ('169.254.169.254', PORT), ('224.0.0.251', PORT),
                    ('255.255.255.255', PORT), ('0.0.0.0', PORT), ('<broadcast>', PORT)):
    print(outcome(s.sendto, b'x', destination), outcome(s.connect, destination))
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
print(outcome(s.sendto, b'x', ('255.255.255.255', PORT)))
try:
    s.sendto(b'x', ('127.0.0.1', OTHER))
except PermissionError as error:
    print(error.strerror.replace(str(OTHER), 'N').replace(str(PORT), 'M'))
print(outcome(s.sendto, b'x', ('inside.test', PORT)), outcome(s.sendto, b'x', ('unknown.test', PORT)))
s.sendto(b'y', ('here.test', PORT))
print(s.recv(10))
";
    let config = allowing_peer(&allowed)
        .with_hosts([
            ("here.test", vec![LOOPBACK.ip()]),
            ("inside.test", vec!["10.0.0.1".parse().expect("an address")]),
        ])
        .expect("names");
    let ports = json!({"PORT": allowed.port(), "OTHER": other.port()});
    let denied = "PermissionError(EACCES)";
    let printed = run_program(config, &ports, text).await;
    let expected = format!(
        "{}{denied}\n\
         UDP to `127.0.0.1:N` is denied: `127.0.0.1:M` in allowed_udp is for other ports; \
         allow_udp(\"127.0.0.1:N\") adds it\n\
         {denied} gaierror\nb'y'\n",
        format!("{denied} {denied}\n").repeat(7)
    );
    // The result of the unknown name depends on the machine's name servers.
    let printed = printed.replace(
        "PermissionError(EACCES) PermissionError(EACCES)\nb'y'",
        "\nb'y'",
    );
    assert_eq!(printed, expected);
    assert!(other.received().is_empty());
    assert_eq!(allowed.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_from_strangers_are_dropped() {
    let peer = peer().await;
    let stranger = tokio::net::UdpSocket::bind(LOOPBACK).await.expect("bound");
    let text = "
import select, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 0))
s.settimeout(10)
# The port is sent over TCP, so that the stranger knows where to send to.
s.sendto(b'hello', ('127.0.0.1', PORT))
print(s.recv(10))
with socket.create_connection(('127.0.0.1', SIGNAL)) as signal:
    signal.sendall(str(s.getsockname()[1]).encode())
    print(signal.recv(10))
print(select.select([s], [], [], 0.05), outcome(s.recv, 100, socket.MSG_DONTWAIT))
s.sendto(b'again', ('127.0.0.1', PORT))
print(s.recvfrom(10) == (b'again', ('127.0.0.1', PORT)))
";
    let signal = tokio::net::TcpListener::bind(LOOPBACK)
        .await
        .expect("bound");
    let ports = json!({"PORT": peer.port(), "SIGNAL": signal.local_addr().expect("bound").port()});
    let sending = async {
        let (mut stream, _) = signal.accept().await.expect("accepted");
        let mut port = [0; 16];
        let size = stream.read(&mut port).await.expect("a port");
        let port = std::str::from_utf8(&port[..size]).expect("text");
        for _ in 0..100 {
            let address = format!("127.0.0.1:{port}");
            stranger.send_to(b"unasked", address).await.expect("sent");
        }
        stream.write_all(b"sent").await.expect("sent");
    };
    let (printed, ()) = tokio::join!(run_program(allowing_peer(&peer), &ports, text), sending);
    assert_eq!(
        printed,
        "b'hello'\nb'sent'\n([], [], []) TimeoutError\nTrue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_errors_have_cpythons_class_and_errno() {
    let peer = peer().await;
    let gone = std::net::UdpSocket::bind(LOOPBACK).expect("bound");
    let closed = gone.local_addr().expect("bound");
    drop(gone);
    let text = "
import select, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.05)
other = socket.socket(type=socket.SOCK_DGRAM)
print(outcome(s.send, b'x'), outcome(s.getpeername), outcome(other.shutdown, socket.SHUT_WR), outcome(s.recv, 1))
print(outcome(s.sendto, bytes(65508), ('127.0.0.1', PORT)), s.sendto(bytes(65507), ('127.0.0.1', PORT)))
print(s.recvmsg(100)[1:3] == ([], socket.MSG_TRUNC), outcome(s.recv, 1))
s.setblocking(False)
print(outcome(s.recv, 1))
s.connect(('127.0.0.1', CLOSED))
s.send(b'x')
print(select.select([s], [], [], 10)[0] == [s], outcome(s.recv, 1), outcome(s.recv, 1))
print(outcome(s.bind, ('', 0)), outcome(socket.socket(type=socket.SOCK_DGRAM).bind, ('', 5353)),
      outcome(socket.socket(type=socket.SOCK_DGRAM).bind, ('192.0.2.1', 0)))
";
    let ports = json!({"PORT": peer.port(), "CLOSED": closed.port()});
    let config = allowing(&[peer.address().to_string(), closed.to_string()]);
    assert_eq!(
        run_program(config, &ports, text).await,
        "OSError(EDESTADDRREQ) OSError(ENOTCONN) OSError(ENOTCONN) TimeoutError\n\
         OSError(EMSGSIZE) 65507\nTrue TimeoutError\nBlockingIOError(EAGAIN)\n\
         True ConnectionRefusedError(ECONNREFUSED) BlockingIOError(EAGAIN)\n\
         OSError(EINVAL) OSError(EADDRNOTAVAIL) OSError(EADDRNOTAVAIL)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncio_endpoints_exchange_datagrams_with_many_peers() {
    let peers = [peer().await, peer().await, peer().await];
    let patterns: Vec<_> = peers
        .iter()
        .map(|peer| peer.address().to_string())
        .collect();
    let text = "
import asyncio, socket

class Protocol(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()
    def datagram_received(self, data, source):
        self.received.put_nowait((data, source))

async def ask(port):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Protocol, remote_addr=('127.0.0.1', port))
    for n in range(20):
        transport.sendto(str(n).encode())
        assert await protocol.received.get() == (str(n).encode(), ('127.0.0.1', port))
    transport.close()
    return n + 1

print(await asyncio.gather(ask(ONE), ask(TWO), ask(THREE)))
loop = asyncio.get_running_loop()
transport, protocol = await loop.create_datagram_endpoint(Protocol, family=socket.AF_INET)
for port in (ONE, TWO, THREE):
    transport.sendto(b'x', ('127.0.0.1', port))
print(sorted([(await protocol.received.get())[1][1] for _ in range(3)]) == sorted([ONE, TWO, THREE]))
transport.close()
try:
    async with asyncio.timeout(0.05):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            await loop.sock_sendto(s, b'x', ('127.0.0.1', ONE))
            print(await loop.sock_recvfrom(s, 10) == (b'x', ('127.0.0.1', ONE)))
            await loop.sock_recv(s, 10)
except TimeoutError:
    print('timed out')
";
    let ports = json!({"ONE": peers[0].port(), "TWO": peers[1].port(), "THREE": peers[2].port()});
    assert_eq!(
        run_program(allowing(&patterns), &ports, text).await,
        "[20, 20, 20]\nTrue\nTrue\ntimed out\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_sockets_are_counted_reported_and_closed_with_the_session() {
    let peer = peer().await;
    let config = allowing_peer(&peer)
        .with_max_connections(2)
        .with_max_sent_bytes(12)
        .with_max_received_bytes(100);
    let recorder = Arc::new(Recorder::new(100));
    let sandbox = eryx::Sandbox::embedded()
        .with_network(config)
        .with_network_observer(Arc::clone(&recorder) as _)
        .build()
        .expect("built");
    let mut session = sandbox.session().await.expect("started");
    let ports = json!({"PORT": peer.port()});
    let text = "
import socket
def open_socket():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(10)
    s.sendto(b'x', ('127.0.0.1', PORT))
    return s
held = [open_socket(), open_socket()]
print(outcome(open_socket), outcome(socket.create_connection, ('127.0.0.1', PORT)))
held.pop().close()
s = open_socket()
s.sendto(b'123456789', ('127.0.0.1', PORT))
print(s.recv(10), s.recv(10), outcome(s.sendto, b'x', ('127.0.0.1', PORT)))
";
    let result = session.execute(program(&ports, text)).await;
    assert_eq!(
        expect_stdout(result),
        "OSError(EMFILE) OSError(EMFILE)\nb'x' b'123456789' OSError(EDQUOT)\n"
    );
    let open = |recorder: &Recorder| {
        let count = |name| {
            let named = |event: &&Event| event.kind.as_str() == name;
            recorder.events().iter().filter(named).count()
        };
        count("connected") as i64 - count("closed") as i64
            + recorder
                .events()
                .iter()
                .filter(|event| {
                    matches!(
                        &event.kind,
                        EventKind::Closed {
                            close_reason: CloseReason::Error(_),
                            ..
                        }
                    )
                })
                .count() as i64
    };
    assert_eq!(open(&recorder), 2);
    drop(session);
    assert_eq!(open(&recorder), 0);
    let datagrams = |event: &&Event| event.activity == Activity::Datagrams;
    assert!(recorder.events().iter().filter(datagrams).count() >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_destinations_by_name_are_checked_by_name() {
    let peer = peer().await;
    let config = loopback()
        .with_hosts([("ns.test", vec![LOOPBACK.ip()])])
        .and_then(|config| config.allow_udp(&format!("ns.test:{}", peer.port())))
        .expect("a name");
    let text = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
print(outcome(s.sendto, b'x', ('127.0.0.1', PORT)))
s.sendto(b'by name', ('ns.test', PORT))
print(s.recvfrom(100) == (b'by name', ('127.0.0.1', PORT)))
(info, *_) = socket.getaddrinfo('ns.test', PORT, type=socket.SOCK_DGRAM)
s.connect(info[4])
s.send(b'looked up')
print(s.recv(100))
";
    assert_eq!(
        run_program(config, &json!({"PORT": peer.port()}), text).await,
        "PermissionError(EACCES)\nTrue\nb'looked up'\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanging_many_datagrams_does_not_grow_guest_memory() {
    let peer = peer().await;
    let text = "
import gc, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
peer = ('127.0.0.1', PORT)
def exchange(count):
    for _ in range(count):
        s.sendto(b'x' * 1000, peer)
        assert len(s.recvfrom(2000)[0]) == 1000
exchange(1000)
";
    let limits = eryx::ResourceLimits::default().with_max_memory(64 << 20);
    let sandbox = sandbox_with_limits(Some(allowing_peer(&peer)), limits);
    let mut session = sandbox.session().await.expect("started");
    let start = session
        .execute(program(&json!({"PORT": peer.port()}), text))
        .await
        .expect("succeeds");
    let after = session.execute("exchange(50_000)").await.expect("succeeds");
    assert_eq!(after.peak_memory, start.peak_memory);
}
