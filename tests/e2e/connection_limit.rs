//! The connection limit, and the ways in which a program frees a connection.

use eryx::net::NetConfig;
use eryx_testkit::{Behaviour, BlackHole, ClosedPort, payload};
use serde_json::json;

use crate::support::{expect_stdout, loopback, program, run_program, sandbox, start_peer};

/// Returns the loopback network with at most `limit` connections.
fn connection_limit(limit: usize) -> NetConfig {
    loopback().with_max_connections(limit)
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_beyond_the_limit_raises_emfile_until_a_connection_closes() {
    let echo = start_peer(Behaviour::Echo).await;
    let text = "
import socket
connect = lambda: socket.create_connection(('127.0.0.1', PORT), 10)
held = [connect() for _ in range(3)]
try:
    connect()
except OSError as error:
    print(type(error).__name__, errno.errorcode[error.errno], 'max_connections' in str(error))
held.pop().close()
held.append(connect())
held[-1].sendall(b'works')
print(held[-1].recv(5))
print(outcome(connect))
";
    assert_eq!(
        run_program(connection_limit(3), &json!({"PORT": echo.port()}), text).await,
        "OSError EMFILE True\nb'works'\nOSError(EMFILE)\n"
    );
    assert_eq!(echo.connections(), 4);
}

/// Traps: a socket in a reference cycle held its slot; `detach` and a failed connect leaked theirs.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_release_a_socket_frees_its_connection_slot() {
    let echo = start_peer(Behaviour::Echo).await;
    let closed = ClosedPort::new().expect("created");
    let hole = BlackHole::new().await.expect("created");
    let text = "
import socket, warnings
warnings.simplefilter('ignore')
def connect():
    return socket.create_connection(('127.0.0.1', PORT), 10)
class Holder:
    def __init__(self):
        self.itself, self.socket = self, connect()

# The exhausted limit triggers a garbage collection.
Holder()
print('cycle', connect().close())
s = connect()
del s
print('dropped', connect().close())
fd = connect().detach()
print('detached', outcome(connect))
s = socket.socket(fileno=fd)
# The descriptor does not block, as the socket had a timeout.
s.settimeout(10)
s.sendall(b'hello')
print(s.recv(5), s.fileno() == fd)
s.detach()
socket.close(fd)
print('closed', connect().close())
s = connect()
t = s.dup()
s.close()
t.sendall(b'again')
print(t.recv(5), outcome(connect))
t.close()
with connect() as s:
    pass
print(outcome(socket.create_connection, ('127.0.0.1', CLOSED), 10))
print(outcome(socket.create_connection, ('127.0.0.1', HOLE), 0.1))
s = socket.socket()
s.setblocking(False)
s.connect_ex(('127.0.0.1', HOLE))
s.close()
print('abandoned', connect().close())
";
    let ports = json!({
        "PORT": echo.port(), "CLOSED": closed.address().port(), "HOLE": hole.address().port()
    });
    assert_eq!(
        run_program(connection_limit(1), &ports, text).await,
        "cycle None\ndropped None\ndetached OSError(EMFILE)\nb'hello' True\nclosed None\n\
         b'again' OSError(EMFILE)\nConnectionRefusedError(ECONNREFUSED)\nTimeoutError\nabandoned None\n"
    );
}

/// Regression: closing the socket closed a stream of `makefile` that was still open.
#[tokio::test(flavor = "multi_thread")]
async fn a_makefile_stream_outlives_its_socket_and_then_frees_the_slot() {
    // The program reads all that the peer sends: closing a socket with unread bytes resets the
    // connection, which could end the peer before it has received anything.
    let first = start_peer(Behaviour::FinishesFirst { bytes: 70_000 }).await;
    let text = "
import hashlib, socket
connect = lambda: socket.create_connection(('127.0.0.1', PORT), 10)
s = connect()
file = s.makefile('rb')
s.close()
del s
print(hashlib.sha256(file.read()).hexdigest(), outcome(connect))
file.close()
s = connect()
both = s.makefile('rwb', buffering=0)
both.write(b'hello')
print(len(both.read(10)))
while both.read(100_000): pass
both.close()
s.close()
s = connect()
lines = s.makefile('w', encoding='utf-8')
while s.recv(100_000): pass
lines.write('gr\\u00fc\\u00dfe\\n' * 1000)
lines.close()
s.close()
";
    assert_eq!(
        run_program(connection_limit(1), &json!({"PORT": first.port()}), text).await,
        format!("{} OSError(EMFILE)\n10\n", payload::sha256(70_000))
    );
    let received: Vec<_> = first
        .ended(3)
        .await
        .iter()
        .map(|end| end.received)
        .collect();
    assert!(
        received.contains(&5) && received.contains(&8000),
        "{received:?}"
    );
}

/// Regression: handles restarted at 1 in every execution of a session, so an old socket wrote to a
/// new connection, and then closed it.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_handle_never_reaches_a_new_connection() {
    let echo = start_peer(Behaviour::Echo).await;
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let first = "
import _eryx_async, socket
old = socket.create_connection(('127.0.0.1', PORT), 10)
fd = old.fileno()
handle = await _eryx_async.await_tcp_connect('127.0.0.1', PORT)
old.close()
_eryx_async.tcp_close(handle)
";
    expect_stdout(
        session
            .execute(program(&json!({"PORT": echo.port()}), first))
            .await,
    );
    let second = "
new = socket.create_connection(('127.0.0.1', PORT), 10)
newer = await _eryx_async.await_tcp_connect('127.0.0.1', PORT)
print(new.fileno() > fd, newer > handle)
print(outcome(old.send, b'x'), outcome(old.close), outcome(socket.socket, fileno=fd), outcome(socket.close, fd))
for call in (_eryx_async.await_tcp_write(handle, b'x'), _eryx_async.await_tcp_read(handle, 1)):
    try:
        await call
    except OSError as error:
        print(described(error))
print(outcome(_eryx_async.tcp_close, handle))
new.sendall(b'alive')
print(new.recv(5), await _eryx_async.await_tcp_write(newer, b'too'), await _eryx_async.await_tcp_read(newer, 3))
";
    assert_eq!(
        expect_stdout(session.execute(second).await),
        "True True\nOSError(EBADF) None OSError(EBADF) OSError(EBADF)\n\
         OSError(EBADF)\nOSError(EBADF)\nOSError(EBADF)\nb'alive' 3 b'too'\n"
    );
    drop(session);
    let received: Vec<_> = echo.ended(4).await.iter().map(|end| end.received).collect();
    assert_eq!(received.iter().sum::<u64>(), 8, "{received:?}");
}
