//! Timeouts, sockets that do not block, and waiting for several of them.

use std::time::Duration;

use eryx_testkit::{Answer, Behaviour, BlackHole, ClosedPort, NameServer, Peer, Script};
use serde_json::json;

use crate::support::{loopback, program, run_program, sandbox, start_peer};

/// Traps: `settimeout` was a no-op, `settimeout(0)` meant "default", `setdefaulttimeout` did nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_programs_timeouts_hold_for_connecting_receiving_and_sending() {
    let silent = start_peer(Behaviour::Silent).await;
    let full = start_peer(Behaviour::NeverReads).await;
    let hole = BlackHole::new().await.expect("made");
    let text = "
import socket, time
begun = time.monotonic()
s = socket.create_connection(('127.0.0.1', SILENT), 10)
s.settimeout(0.2)
print(outcome(s.recv, 1), s.gettimeout(), s.getblocking())
s.settimeout(0)
print(outcome(s.recv, 1), s.getblocking())
t = socket.create_connection(('127.0.0.1', FULL), 10)
t.settimeout(0.2)
print(outcome(t.sendall, bytes(64 << 20)))
t.setblocking(False)
# What is left of the last page of its buffer, a kernel may yet fill.
print(outcome(lambda: [t.send(bytes(1 << 20)) for _ in range(64)]))
print(outcome(socket.create_connection, ('127.0.0.1', HOLE), 0.2))
socket.setdefaulttimeout(0.2)
u = socket.socket()
print(u.gettimeout(), outcome(u.connect, ('127.0.0.1', HOLE)))
socket.setdefaulttimeout(None)
print(socket.socket().gettimeout(), outcome(s.settimeout, -1), outcome(s.settimeout, 'x'))
print(0.8 <= time.monotonic() - begun < 10)
";
    let ports =
        json!({"SILENT": silent.port(), "FULL": full.port(), "HOLE": hole.address().port()});
    assert_eq!(
        run_program(loopback(), &ports, text).await,
        "TimeoutError 0.2 True\nBlockingIOError(EAGAIN) False\nTimeoutError\nBlockingIOError(EAGAIN)\n\
         TimeoutError\n0.2 TimeoutError\nNone ValueError TypeError\nTrue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_cannot_wait_longer_than_the_embedder_lets_it() {
    let silent = start_peer(Behaviour::Silent).await;
    let hole = BlackHole::new().await.expect("made");
    let limit = Duration::from_millis(300);
    let config = loopback()
        .with_io_timeout(limit)
        .and_then(|config| config.with_connect_timeout(limit))
        .expect("in range");
    let text = "
import socket, time
begun = time.monotonic()
s = socket.create_connection(('127.0.0.1', SILENT))
for timeout in (None, 3600):
    s.settimeout(timeout)
    print(outcome(s.recv, 1))
print(outcome(socket.create_connection, ('127.0.0.1', HOLE), 3600))
print(0.9 <= time.monotonic() - begun < 10)
";
    let ports = json!({"SILENT": silent.port(), "HOLE": hole.address().port()});
    assert_eq!(
        run_program(config, &ports, text).await,
        "TimeoutError\nTimeoutError\nTimeoutError\nTrue\n"
    );
}

/// Trap: the connect timeout was spent twice, once on DNS and once on dialling.
#[tokio::test(flavor = "multi_thread")]
async fn one_timeout_covers_the_lookup_and_the_dialling() {
    let late = Answer::addresses(["127.0.0.1"])
        .expect("an address")
        .after(Duration::from_millis(1200));
    let names = NameServer::start(Script::new().otherwise(late))
        .await
        .expect("started");
    let hole = BlackHole::new().await.expect("made");
    let config = loopback().with_dns_server(names.address());
    let text = "
import socket, time
s = socket.socket()
s.settimeout(2)
begun = time.monotonic()
print(outcome(s.connect, ('slow.test', HOLE)))
print(1.9 <= time.monotonic() - begun < 2.9)
";
    let port = json!({"HOLE": hole.address().port()});
    assert_eq!(
        run_program(config, &port, text).await,
        "TimeoutError\nTrue\n"
    );
    assert!(names.queries_for("slow.test") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_without_blocking_is_told_by_select() {
    let echo = start_peer(Behaviour::Echo).await;
    let closed = ClosedPort::new().expect("made");
    let hole = BlackHole::new().await.expect("made");
    let text = "
import select, socket
def begin(port, *outcomes):
    # On loopback a connect may come to its end at once.
    s = socket.socket()
    s.setblocking(False)
    told = s.connect_ex(('127.0.0.1', port))
    return s, told == errno.EINPROGRESS or errno.errorcode.get(told, told) in outcomes
s, fine = begin(ECHO, 0)
print(fine, select.select([], [s], [], 10)[1] == [s], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername()[1] == ECHO)
s.setblocking(True)
s.sendall(b'hello')
print(s.recv(5))
s, fine = begin(HOLE)
print(fine, select.select([s], [s], [], 0.1), outcome(s.connect, ('127.0.0.1', HOLE)), outcome(s.send, b'x'), outcome(s.getpeername))
s.close()
s, fine = begin(CLOSED, 'ECONNREFUSED')
print(fine, select.select([], [s], [], 10)[1] == [s])
s, fine = begin(ECHO, 0)
poller = select.poll()
poller.register(s, select.POLLOUT)
print(fine, poller.poll(10_000) == [(s.fileno(), select.POLLOUT)])
";
    let ports = json!({
        "ECHO": echo.port(), "CLOSED": closed.address().port(), "HOLE": hole.address().port()
    });
    let printed = run_program(loopback(), &ports, text).await;
    assert_eq!(
        printed,
        "True True 0 True\nb'hello'\n\
         True ([], [], []) BlockingIOError(EALREADY) BlockingIOError(EAGAIN) OSError(ENOTCONN)\n\
         True True\nTrue True\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_select_waits_for_the_host_a_pair_and_a_listener() {
    let echo = start_peer(Behaviour::Echo).await;
    let text = include_str!("programs/select_three_kinds.py");
    assert_eq!(
        run_program(loopback(), &json!({"PORT": echo.port()}), text).await,
        "[]\n['host']\n['pair']\n['listener']\n['host', 'listener', 'pair']\n['host']\nTrue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_a_hundred_thousand_times_leaves_no_memory_behind() {
    let echo = start_peer(Behaviour::Echo).await;
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let begin = "
import select, socket
s = socket.create_connection(('127.0.0.1', PORT))
a, b = socket.socketpair()
poller = select.poll()
for one in (s, a, b):
    poller.register(one, select.POLLIN | select.POLLOUT)
def wait(times):
    for _ in range(times):
        assert select.select([s, a], [s, a], [], 0)[1] == [s, a]
        assert len(poller.poll(0)) == 3
wait(5_000)
";
    let begun = session
        .execute(program(&json!({"PORT": echo.port()}), begin))
        .await
        .expect("it waits");
    let waited = session.execute("wait(50_000)").await.expect("it waits");
    // One leaked byte a call would be more than this.
    assert!(
        waited.peak_memory <= begun.peak_memory + (64 << 10),
        "{} bytes, then {}",
        begun.peak_memory,
        waited.peak_memory
    );
}
