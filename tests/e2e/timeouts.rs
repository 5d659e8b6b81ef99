//! Timeouts, non-blocking sockets, and `select`.

use std::time::Duration;

use eryx_testkit::{Answer, Behaviour, BlackHole, ClosedPort, NameServer, Script};
use serde_json::json;

use crate::support::{loopback, program, run_program, sandbox, start_peer};

/// Traps: `settimeout` and `setdefaulttimeout` had no effect; `settimeout(0)` meant the default.
#[tokio::test(flavor = "multi_thread")]
async fn socket_timeouts_apply_to_connect_receive_and_send() {
    let silent = start_peer(Behaviour::Silent).await;
    let full = start_peer(Behaviour::NeverReads).await;
    let hole = BlackHole::new().await.expect("created");
    let text = "
import socket, time
start = time.monotonic()
s = socket.create_connection(('127.0.0.1', SILENT), 10)
s.settimeout(0.2)
print(outcome(s.recv, 1), s.gettimeout(), s.getblocking())
s.settimeout(0)
print(outcome(s.recv, 1), s.getblocking())
t = socket.create_connection(('127.0.0.1', FULL), 10)
t.settimeout(0.2)
print(outcome(t.sendall, bytes(64 << 20)))
t.setblocking(False)
# The kernel may still fill the rest of the last page of its buffer.
print(outcome(lambda: [t.send(bytes(1 << 20)) for _ in range(64)]))
print(outcome(socket.create_connection, ('127.0.0.1', HOLE), 0.2))
socket.setdefaulttimeout(0.2)
u = socket.socket()
print(u.gettimeout(), outcome(u.connect, ('127.0.0.1', HOLE)))
socket.setdefaulttimeout(None)
print(socket.socket().gettimeout(), outcome(s.settimeout, -1), outcome(s.settimeout, 'x'))
print(0.8 <= time.monotonic() - start < 10)
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
async fn timeouts_are_clamped_to_the_embedders_limits() {
    let silent = start_peer(Behaviour::Silent).await;
    let hole = BlackHole::new().await.expect("created");
    let limit = Duration::from_millis(300);
    let config = loopback()
        .with_io_timeout(limit)
        .and_then(|config| config.with_connect_timeout(limit))
        .expect("in range");
    let text = "
import socket, time
start = time.monotonic()
s = socket.create_connection(('127.0.0.1', SILENT))
for timeout in (None, 3600):
    s.settimeout(timeout)
    print(outcome(s.recv, 1))
print(outcome(socket.create_connection, ('127.0.0.1', HOLE), 3600))
print(0.9 <= time.monotonic() - start < 10)
";
    let ports = json!({"SILENT": silent.port(), "HOLE": hole.address().port()});
    assert_eq!(
        run_program(config, &ports, text).await,
        "TimeoutError\nTimeoutError\nTimeoutError\nTrue\n"
    );
}

/// Regression: the connect timeout applied twice, once to the lookup and once to connecting.
#[tokio::test(flavor = "multi_thread")]
async fn one_connect_timeout_covers_lookup_and_connect() {
    let late = Answer::addresses(["127.0.0.1"])
        .expect("an address")
        .after(Duration::from_millis(1200));
    let names = NameServer::start(Script::new().otherwise(late))
        .await
        .expect("started");
    let hole = BlackHole::new().await.expect("created");
    let config = loopback().with_dns_server(names.address());
    let text = "
import socket, time
s = socket.socket()
s.settimeout(2)
start = time.monotonic()
print(outcome(s.connect, ('slow.test', HOLE)))
print(1.9 <= time.monotonic() - start < 2.9)
";
    let port = json!({"HOLE": hole.address().port()});
    assert_eq!(
        run_program(config, &port, text).await,
        "TimeoutError\nTrue\n"
    );
    assert!(names.queries_for("slow.test") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn select_reports_the_end_of_a_non_blocking_connect() {
    let echo = start_peer(Behaviour::Echo).await;
    let closed = ClosedPort::new().expect("created");
    let hole = BlackHole::new().await.expect("created");
    let text = "
import select, socket
def begin(port, *outcomes):
    # On loopback, a connect may finish at once.
    s = socket.socket()
    s.setblocking(False)
    result = s.connect_ex(('127.0.0.1', port))
    return s, result == errno.EINPROGRESS or errno.errorcode.get(result, result) in outcomes
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
async fn select_waits_for_host_sockets_pairs_and_listeners_together() {
    let echo = start_peer(Behaviour::Echo).await;
    let text = include_str!("programs/select_three_kinds.py");
    assert_eq!(
        run_program(loopback(), &json!({"PORT": echo.port()}), text).await,
        "[]\n['host']\n['pair']\n['listener']\n['host', 'listener', 'pair']\n['host']\nTrue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_selects_do_not_grow_guest_memory() {
    let echo = start_peer(Behaviour::Echo).await;
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let begin = "
import select, socket
s = socket.create_connection(('127.0.0.1', PORT))
a, b = socket.socketpair()
poller = select.poll()
for sock in (s, a, b):
    poller.register(sock, select.POLLIN | select.POLLOUT)
def wait(times):
    for _ in range(times):
        assert select.select([s, a], [s, a], [], 0)[1] == [s, a]
        assert len(poller.poll(0)) == 3
wait(5_000)
";
    let start = session
        .execute(program(&json!({"PORT": echo.port()}), begin))
        .await
        .expect("waits");
    let waited = session.execute("wait(50_000)").await.expect("waits");
    // Leaking one byte per call would exceed this.
    assert!(
        waited.peak_memory <= start.peak_memory + (64 << 10),
        "{} bytes, then {}",
        start.peak_memory,
        waited.peak_memory
    );
}
