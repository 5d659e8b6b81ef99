//! Fast paths of the guest: they return the same results as the standard library.

use serde_json::json;

use crate::support::{expect_stdout, sandbox, trusting};
use crate::tls::{echo, run_tls_program};

#[tokio::test]
async fn fast_paths_match_the_standard_library() {
    let program = include_str!("programs/fastpaths.py");
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(printed, "the same\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fast_path_of_tls_sockets_matches_the_standard_library() {
    let (ca, peer) = echo().await;
    let text = r#"
import inspect, socket, ssl
from eryx_guest.fastpaths import ssl_socket

taken = []
for name in "_recv", "_sendall":
    stock = getattr(ssl_socket, name)
    def counted(*arguments, name=name, stock=stock):
        taken.append(name)
        return stock(*arguments)
    setattr(ssl_socket, name, counted)
    theirs = getattr(ssl.SSLSocket, name[1:])
    assert [str(inspect.signature(each)).replace(': Any', '').replace(' -> Any', '').replace(' ', '')
            for each in (theirs, stock)] == [str(inspect.signature(stock)).replace(' ', '')] * 2, theirs
    assert (theirs.__qualname__, theirs.__module__) == (stock.__qualname__, stock.__module__)

def all_of(connection, size):
    parts = []
    while sum(map(len, parts)) < size:
        parts.append(connection.recv(size))
    return b''.join(parts)

def exchange(connection, data, size):
    assert connection.sendall(data) is None
    assert all_of(connection, size) == bytes(data)

context = ssl.create_default_context()
opened = lambda: context.wrap_socket(socket.create_connection(('127.0.0.1', PORT)), server_hostname='site.test')
with opened() as connection:
    exchange(connection, b'x', 1)
    exchange(connection, bytes(65_536), 65_536)
    assert connection.sendall(b'y', flags=0) is None and connection.recv(buflen=5, flags=0) == b'y'
    assert taken == [], taken
    # Every other argument takes the path of the standard library.
    for data in b'', bytearray(b'abc'), memoryview(b'abc')[::1], b'z' * 65_537:
        taken.clear()
        connection.sendall(data)
        assert taken == ['_sendall'], (taken, len(data))
        assert all_of(connection, len(data)) == bytes(data)
    for call in (
        lambda: connection.sendall(b'x', socket.MSG_DONTWAIT), lambda: connection.recv(1, socket.MSG_PEEK),
        lambda: connection.sendall('x'), lambda: connection.recv('x'), lambda: connection.recv(-1),
    ):
        try:
            call()
        except (ValueError, TypeError):
            continue
        raise AssertionError(inspect.getsource(call))
    connection.setblocking(False)
    try:
        connection.recv(1)
    except ssl.SSLWantReadError:
        pass
    connection.setblocking(True)
    # So do calls when the program has replaced a method that the fast path skips.
    seen = []
    connection.send = lambda data, flags=0: seen.append(bytes(data)) or len(data)
    connection.read = lambda size=1024, buffer=None: b'mine'
    connection.sendall(b'hello')
    assert (connection.recv(4), seen) == (b'mine', [b'hello'])
    del connection.send, connection.read
    send, read = ssl.SSLSocket.send, ssl.SSLSocket.read
    ssl.SSLSocket.send = lambda self, data, flags=0: seen.append(bytes(data)) or len(data)
    ssl.SSLSocket.read = lambda self, size=1024, buffer=None: b'theirs'
    connection.sendall(b'there')
    assert (connection.recv(4), seen) == (b'theirs', [b'hello', b'there'])
    ssl.SSLSocket.send, ssl.SSLSocket.read = send, read

class Own(ssl.SSLSocket):
    def send(self, data, flags=0):
        seen.append('own')
        return super().send(data, flags)

context.sslsocket_class = Own
with opened() as connection:
    exchange(connection, b'x', 1)
    assert seen[-1] == 'own'

# A closed socket fails in both paths.
context.sslsocket_class = ssl.SSLSocket
connection = opened()
connection.close()
for call in lambda: connection.recv(1), lambda: connection.sendall(b'x'):
    try:
        call()
    except OSError as error:
        print(error.strerror)
"#;
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "Bad file descriptor\nBad file descriptor\n"
    );
}
