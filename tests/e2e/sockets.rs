//! The module `socket`: the behaviour that CPython documents, on connections of the host.

use std::process::Command;
use std::time::Duration;

use eryx_testkit::{
    Answer, Behaviour, ClosedPort, LOOPBACK_V6, NameServer, Peer, Script, Transport, payload,
};
use serde_json::json;

use crate::netns;
use crate::support::{expect_stdout, loopback, program, run_program, sandbox, start_peer};

#[tokio::test(flavor = "multi_thread")]
async fn socket_addresses_have_the_shape_of_their_family() {
    let four = start_peer(Behaviour::Echo).await;
    let six = Peer::start(Behaviour::Echo, Transport::plain(), LOOPBACK_V6)
        .await
        .expect("started");
    let text = "
import socket
with socket.create_connection(('127.0.0.1', FOUR), 10) as s:
    print(s.getpeername() == ('127.0.0.1', FOUR), s.getsockname()[0], s.getsockname()[1] > 0, s.family.name, s.type.name)
# Regression: `connect` rejected IPv6 addresses with four members.
for address in (('::1', SIX), ('::1', SIX, 0), ('::1', SIX, 0, 0)):
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(10)
        s.connect(address)
        print(s.getpeername() == ('::1', SIX, 0, 0), len(s.getsockname()), s.family.name)
s = socket.socket()
print(outcome(s.getpeername), s.getsockname(), outcome(s.recv, 1), outcome(s.send, b'x'))
print(outcome(s.connect, ('::1', SIX)), outcome(s.connect, ('127.0.0.1',)), outcome(s.connect, ('127.0.0.1', 70000)))
s.close()
print(s.fileno(), outcome(s.recv, 1), outcome(s.getpeername))
";
    let ports = json!({"FOUR": four.port(), "SIX": six.port()});
    assert_eq!(
        run_program(loopback(), &ports, text).await,
        "True 127.0.0.1 True AF_INET SOCK_STREAM\n\
         True 4 AF_INET6\nTrue 4 AF_INET6\nTrue 4 AF_INET6\n\
         OSError(ENOTCONN) ('0.0.0.0', 0) OSError(ENOTCONN) BrokenPipeError(EPIPE)\n\
         gaierror TypeError OverflowError\n\
         -1 OSError(EBADF) OSError(EBADF)\n"
    );
}

/// Regression: every failure raised one private exception class.
#[tokio::test(flavor = "multi_thread")]
async fn socket_errors_have_cpythons_class_and_errno() {
    let closed = ClosedPort::new().expect("created");
    let resetting = start_peer(Behaviour::ResetsAtFirstByte).await;
    let text = "
import socket
print(outcome(socket.create_connection, ('127.0.0.1', CLOSED), 10))
s = socket.create_connection(('127.0.0.1', RESETTING), 10)
s.sendall(b'x')
print(outcome(s.recv, 1))
def keep_sending():
    for _ in range(1000):
        s.sendall(bytes(1000))
print(outcome(keep_sending))
print(outcome(socket.create_connection, ('169.254.169.254', 80), 10))
t = socket.create_connection(('127.0.0.1', RESETTING), 10)
print(outcome(t.connect, ('127.0.0.1', RESETTING)))
for error in (socket.timeout, socket.error, socket.gaierror, socket.herror):
    print(error.__module__, error.__name__, issubclass(error, OSError))
";
    let ports = json!({"CLOSED": closed.address().port(), "RESETTING": resetting.port()});
    let printed = run_program(loopback(), &ports, text).await;
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "ConnectionRefusedError(ECONNREFUSED)");
    assert_eq!(lines[1], "ConnectionResetError(ECONNRESET)");
    assert!(
        ["BrokenPipeError(EPIPE)", "ConnectionResetError(ECONNRESET)"].contains(&lines[2]),
        "{printed}"
    );
    assert_eq!(lines[3], "PermissionError(EACCES)");
    assert_eq!(lines[4], "OSError(EISCONN)");
    assert_eq!(
        &lines[5..],
        [
            "builtins TimeoutError True",
            "builtins OSError True",
            "socket gaierror True",
            "socket herror True"
        ]
    );
}

/// Regression: datagram sockets silently opened TCP.
#[tokio::test(flavor = "multi_thread")]
async fn unsupported_socket_types_are_rejected() {
    let peer = start_peer(Behaviour::Echo).await;
    let text = "
import socket
print(outcome(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
print(outcome(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM))
print(outcome(socket.socket, socket.AF_INET, socket.SOCK_RAW))
print(outcome(socket.socket, socket.AF_UNIX))
print(outcome(socket.socket, 16, socket.SOCK_RAW))
print(outcome(socket.socket, socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP))
s = socket.socket()
print(outcome(s.bind, ('192.0.2.1', 0)))
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "OSError(EPROTONOSUPPORT)\nOSError(EPROTONOSUPPORT)\nPermissionError(EPERM)\n\
         OSError(EAFNOSUPPORT)\nOSError(EAFNOSUPPORT)\nOSError(EPROTONOSUPPORT)\nOSError(EADDRNOTAVAIL)\n"
    );
    assert_eq!(peer.connections(), 0);
}

/// Regression: `getaddrinfo` echoed the name back, and service names raised ValueError.
#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_in_every_form_getaddrinfo_has() {
    let script = Script::new()
        .answer(
            "dual.test",
            Answer::addresses(["127.0.0.1", "::1"]).expect("addresses"),
        )
        .answer(
            "four.test",
            Answer::addresses(["127.0.0.1"]).expect("an address"),
        )
        .answer("alias.test", Answer::alias("four.test"))
        .answer(
            "long.test",
            Answer::addresses(["127.0.0.1"])
                .expect("an address")
                .truncated(),
        )
        .answer("broken.test", Answer::ServerFailure);
    let names = NameServer::start(script).await.expect("started");
    let text = "
import socket
from socket import AF_INET, AF_INET6, SOCK_STREAM
def look(*arguments, **keywords):
    found = outcome(socket.getaddrinfo, *arguments, **keywords)
    if isinstance(found, str):
        return found
    return sorted({(family.name, kind.name, address) for family, kind, proto, canonical, address in found})
print(look('dual.test', 443, type=SOCK_STREAM))
print(look('dual.test', 'https', AF_INET6, SOCK_STREAM))
print(look('alias.test', '80', AF_INET, SOCK_STREAM))
print(look('long.test', b'http', type=SOCK_STREAM))
print(look('four.test', 80, AF_INET6))
print(look(None, 80, type=SOCK_STREAM))
print(look('192.0.2.7', 80, type=SOCK_STREAM), look('2001:db8::7', 80, type=SOCK_STREAM))
print(look('four.test', 80, flags=socket.AI_NUMERICHOST), look('four.test', 'no-such-service'))
print([len(socket.getaddrinfo('four.test', 80)), socket.getaddrinfo('four.test', 0, flags=socket.AI_CANONNAME)[0][3]])
for name in ('missing.test', 'broken.test'):
    try:
        socket.getaddrinfo(name, 80)
    except socket.gaierror as error:
        print(error.errno == {'missing.test': socket.EAI_NONAME, 'broken.test': socket.EAI_AGAIN}[name], error.args[1])
print(socket.gethostbyname('four.test'), socket.gethostbyname_ex('four.test')[2], socket.getservbyname('https'), socket.getnameinfo(('127.0.0.1', 80), socket.NI_NUMERICHOST))
";
    let config = loopback().with_dns_server(names.address());
    assert_eq!(
        run_program(config, &json!({}), text).await,
        "[('AF_INET', 'SOCK_STREAM', ('127.0.0.1', 443)), ('AF_INET6', 'SOCK_STREAM', ('::1', 443, 0, 0))]\n\
         [('AF_INET6', 'SOCK_STREAM', ('::1', 443, 0, 0))]\n\
         [('AF_INET', 'SOCK_STREAM', ('127.0.0.1', 80))]\n\
         [('AF_INET', 'SOCK_STREAM', ('127.0.0.1', 80))]\n\
         gaierror\n\
         [('AF_INET', 'SOCK_STREAM', ('127.0.0.1', 80)), ('AF_INET6', 'SOCK_STREAM', ('::1', 80, 0, 0))]\n\
         [('AF_INET', 'SOCK_STREAM', ('192.0.2.7', 80))] [('AF_INET6', 'SOCK_STREAM', ('2001:db8::7', 80, 0, 0))]\n\
         gaierror gaierror\n\
         [3, 'four.test']\n\
         True Name or service not known\nTrue Temporary failure in name resolution\n\
         127.0.0.1 ['127.0.0.1'] 443 ('127.0.0.1', 'http')\n"
    );
    assert!(names.queries().iter().any(|query| query.tcp));
}

/// Regression: `sendall` copied quadratically, and counted elements instead of bytes for `array`.
#[tokio::test(flavor = "multi_thread")]
async fn every_buffer_type_is_sent_unchanged() {
    let peer = start_peer(Behaviour::Receipt).await;
    let text = "
import array, hashlib, socket
numbers = array.array('I', range(300_000))
grid = memoryview(bytes(range(256)) * 64).cast('B', (128, 128))
def receipt(*buffers):
    with socket.create_connection(('127.0.0.1', PORT), 10) as s:
        digest, length = hashlib.sha256(), 0
        for buffer in buffers:
            s.sendall(buffer)
            digest.update(bytes(buffer))
            length += len(bytes(buffer))
        s.shutdown(socket.SHUT_WR)
        return s.makefile().read() == f'{length} {digest.hexdigest()}\\n'
print(receipt(numbers), receipt(memoryview(numbers)), receipt(grid), receipt(bytearray(b'abc'), b'', memoryview(b'xyz')[::1]))
with socket.create_connection(('127.0.0.1', PORT), 10) as s:
    print(s.send(array.array('I', [1, 2, 3])), outcome(s.sendall, 'text'), outcome(s.send, memoryview(b'abcdef')[::2]))
    print(s.sendmsg([b'ab', memoryview(b'cde')]) if hasattr(s, 'sendmsg') else 5)
view = memoryview(bytes(8 << 20))
with socket.create_connection(('127.0.0.1', PORT), 10) as s:
    while view:
        view = view[s.send(view):]
    s.shutdown(socket.SHUT_WR)
    print(s.recv(8))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "True True True True\n12 TypeError BufferError\n5\nb'8388608 '\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_receives_everything() {
    let peer = start_peer(Behaviour::ReadsSlowly {
        piece: 32 * 1024,
        every: Duration::from_millis(1),
    })
    .await;
    let text = "
import random, hashlib, socket
data = random.Random(1).randbytes(3_000_000)
s = socket.create_connection(('127.0.0.1', PORT), 20)
s.sendall(data)
s.shutdown(socket.SHUT_WR)
print(s.makefile().read() == f'{len(data)} {hashlib.sha256(data).hexdigest()}\\n')
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "True\n"
    );
}

/// Regression: `shutdown` was silently ignored.
#[tokio::test(flavor = "multi_thread")]
async fn either_side_may_half_close_first() {
    let receipt = start_peer(Behaviour::Receipt).await;
    let first = start_peer(Behaviour::FinishesFirst { bytes: 100_000 }).await;
    let text = "
import hashlib, socket
s = socket.create_connection(('127.0.0.1', RECEIPT), 10)
s.sendall(b'hello')
s.shutdown(socket.SHUT_WR)
print(outcome(s.send, b'more'), s.recv(2), s.makefile('rb').read() != b'', s.recv(1))
s = socket.create_connection(('127.0.0.1', FIRST), 10)
data = s.makefile('rb').read()
print(hashlib.sha256(data).hexdigest(), s.recv(1))
s.sendall(b'x' * 5000)
s.close()
s = socket.create_connection(('127.0.0.1', FIRST), 10)
s.shutdown(socket.SHUT_RDWR)
# Bytes of the peer that arrive now reset the connection: natively, both happen.
print(outcome(s.send, b'x') in ('ConnectionResetError(ECONNRESET)', 'BrokenPipeError(EPIPE)'))
print(outcome(socket.socket().shutdown, socket.SHUT_WR), outcome(s.shutdown, 9))
";
    let ports = json!({"RECEIPT": receipt.port(), "FIRST": first.port()});
    assert_eq!(
        run_program(loopback(), &ports, text).await,
        format!(
            "BrokenPipeError(EPIPE) b'5 ' True b''\n{} b''\nTrue\n\
             OSError(ENOTCONN) OSError(EINVAL)\n",
            payload::sha256(100_000)
        )
    );
    let received: Vec<_> = first
        .ended(2)
        .await
        .iter()
        .map(|end| end.received)
        .collect();
    assert!(received.contains(&5000), "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_guest_servers_and_socket_pairs_need_no_network() {
    let text = include_str!("programs/inside_the_guest.py");
    let result = sandbox(None)
        .execute(program(&json!({}), text))
        .await
        .expect("succeeds");
    assert_eq!(
        result.stdout,
        "b'pair'\nTrue b'HELLO' b''\nOSError(EADDRINUSE)\nb'ok over http'\nB'ASYNC'\n"
    );
    assert!(result.network.connections.is_empty());
}

/// A listener in a guest accepts connections of that guest only.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_in_a_guest_is_invisible_outside() {
    let mut session = sandbox(None).session().await.expect("started");
    let listen = "
import socket
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1])
";
    let port: u16 = expect_stdout(session.execute(listen).await)
        .trim()
        .parse()
        .expect("a port");
    let outside = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    assert!(outside.is_err());
    let text = "
import socket
print(outcome(socket.create_connection, ('127.0.0.1', PORT), 5))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": port}), text).await,
        "ConnectionRefusedError(ECONNREFUSED)\n"
    );
}

/// The host rejects names of megabytes, so the guest must not pass it one.
#[tokio::test(flavor = "multi_thread")]
async fn an_overlong_host_name_raises_an_error() {
    let text = "
import asyncio, socket, ssl, _eryx_async
for name in ('x' * 1_000_000, 'a.' * 3_000_000, b'x' * 5_000_000):
    print(outcome(socket.getaddrinfo, name, 80), outcome(socket.create_connection, (name, 80)),
          outcome(socket.socket().connect, (name, 80)), outcome(socket.gethostbyname, name))
    try:
        await _eryx_async.await_tcp_connect(name, 80)
    except Exception as error:
        print(described(error))
context = ssl.create_default_context()
print(outcome(context.wrap_bio, ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname='a.' * 3_000_000))
";
    let long = "gaierror gaierror gaierror gaierror\ngaierror\n";
    let unicode = long.replace("gaierror", "UnicodeEncodeError");
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        format!("{unicode}{long}{long}SSLError\n")
    );
}

/// Regression: `recv(2**32-1)` allocated 4 GiB on the host.
#[tokio::test(flavor = "multi_thread")]
async fn an_enormous_receive_returns_at_most_a_mebibyte() {
    let pours = start_peer(Behaviour::SendsForever).await;
    let text = "
import socket
from wit_world.imports import tcp
s = socket.create_connection(('127.0.0.1', PORT), 10)
print(all(0 < len(s.recv(2**31)) <= 1 << 20 for _ in range(20)))
print(all(0 < len(s.recv(2**62)) <= 1 << 20 for _ in range(3)), outcome(s.recv, -1))
buffer = bytearray(3 << 20)
print(0 < s.recv_into(buffer) <= 1 << 20, s.recv_into(memoryview(buffer)[10:], 7), outcome(s.recv_into, b'fixed'), outcome(s.recv_into, buffer, -1))
print(len(s.recv(100, socket.MSG_WAITALL)), s.recv(4, socket.MSG_PEEK) == s.recv(4))
raw = tcp.Connection.connect('127.0.0.1', PORT)
raw.finish_connect(None)
print(all(0 < len(raw.read(2**32 - 1, None)) <= 1 << 20 for _ in range(20)))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": pours.port()}), text).await,
        "True\nTrue ValueError\nTrue 7 TypeError ValueError\n100 True\nTrue\n"
    );
}

/// Regression: `setsockopt` was silently ignored.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_option_is_applied_or_rejected() {
    let echo = start_peer(Behaviour::Echo).await;
    let text = "
import socket
s = socket.create_connection(('127.0.0.1', PORT), 10)
for level, option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY), (socket.SOL_SOCKET, socket.SO_KEEPALIVE)):
    before = s.getsockopt(level, option)
    s.setsockopt(level, option, 1)
    print(before, s.getsockopt(level, option))
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM)
print(outcome(s.setsockopt, socket.IPPROTO_TCP, 4711, 1), outcome(s.setsockopt, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo'))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": echo.port()}), text).await,
        "0 1\n0 1\nTrue\nOSError(ENOPROTOOPT) OSError(ENOPROTOOPT)\n"
    );
}

#[test]
fn exhausted_local_ports_raise_eaddrnotavail() {
    netns::without_network(
        "sockets::exhausted_local_ports_raise_eaddrnotavail",
        async || {
            let status = Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status();
            assert!(status.expect("ip starts").success());
            let peer = start_peer(Behaviour::Echo).await;
            std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 50001")
                .expect("may be set in a namespace");
            let text = "
import socket
held = [socket.create_connection(('127.0.0.1', PORT), 10) for _ in range(2)]
print(outcome(socket.create_connection, ('127.0.0.1', PORT), 10))
";
            assert_eq!(
                run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
                "OSError(EADDRNOTAVAIL)\n"
            );
        },
    );
}
