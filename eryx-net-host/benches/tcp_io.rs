<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
//! Measures the transfer of data in plain text and over TLS, and waiting for one of 1,000
//! connections. The peers are sockets on loopback, so the results include the kernel's work.
========
//! Throughput of a connection, in plaintext and over TLS, and the cost of waiting for one of a
//! thousand connections. The peers are sockets on loopback, so that the results include the
//! kernel's work.
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use criterion::{Criterion, Throughput};
use eryx_net_host::poll::{self, PollSet};
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Connection, NetConfig, Network};
use eryx_testkit::{CertificateAuthority, Leaf, ServerTls};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 1000;
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
const SIZES: [usize; 3] = [20, 4 << 10, 64 << 10];

fn main() {
    // Few samples, so that the benchmark takes seconds.
========
const MESSAGE_SIZES: [usize; 3] = [20, 4 << 10, 64 << 10];

fn main() {
    // Few samples, so that the whole run takes seconds.
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    plain(&mut criterion, &runtime);
    tls(&mut criterion, &runtime);
    poll(&mut criterion, &runtime);
    criterion.final_summary();
}

<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
/// Transfers one piece at a time, with the peer in this thread, so that no operation waits.
========
/// Transfers one message at a time. The peer is in this thread, so that no operation waits.
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
fn plain(criterion: &mut Criterion, runtime: &Runtime) {
    let network = Network::new(&NetConfig::permissive());
    let (mut connection, mut peer) = pair(&network, runtime);
    let mut group = criterion.benchmark_group("plain");
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
    for size in SIZES {
========
    for size in MESSAGE_SIZES {
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
        let data = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("read {size} B"), |b| {
            b.iter(|| {
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
                peer.write_all(&data).expect("buffer space");
                let mut left = size;
                while left > 0 {
                    let read = connection.read(left, None);
                    left -= runtime.block_on(read).expect("data").len();
========
                peer.write_all(&data).expect("the socket takes it");
                let mut left = size;
                while left > 0 {
                    let read = connection.read(left, None);
                    left -= runtime.block_on(read).expect("bytes are available").len();
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
                }
            });
        });
        let mut buffer = vec![0; size];
        group.bench_function(format!("write {size} B"), |b| {
            b.iter(|| {
                let written = runtime.block_on(connection.write(&data, None));
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
                assert_eq!(written.expect("buffer space"), size);
                peer.read_exact(&mut buffer).expect("data");
========
                assert_eq!(written.expect("the socket takes it"), size);
                peer.read_exact(&mut buffer).expect("the bytes arrive");
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
            });
        });
    }
    group.finish();
}

<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
/// Sends data through an echo server in another thread.
fn encrypted(criterion: &mut Criterion, runtime: &Runtime) {
    let authority = CertificateAuthority::new().expect("an authority");
========
/// Sends messages to an echo server in a thread of its own.
fn tls(criterion: &mut Criterion, runtime: &Runtime) {
    let authority = Authority::new().expect("an authority");
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("a certificate");
    let config = ServerTls::new(&identity).build().expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        socket.set_nodelay(true).expect("open");
        let session = rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, socket);
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    });
    let config = NetConfig::permissive()
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let network = Network::new(&config);
    let mut connection = runtime.block_on(async {
        let mut connection = network.connect("127.0.0.1", port).expect("allowed");
        connection.finish_connect(None).await.expect("connects");
        let settings = ClientSettings::for_name("localhost");
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
        let handshake = connection.start_tls(&settings, None).await;
        handshake.expect("a handshake");
        connection
    });
    let mut group = criterion.benchmark_group("tls");
    for size in SIZES {
========
        let started = connection.start_tls(&settings, None).await;
        started.expect("the handshake succeeds");
        connection
    });
    let mut group = criterion.benchmark_group("tls");
    for size in MESSAGE_SIZES {
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
        let data = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{size} B round trip"), |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let written = connection.write(&data, None).await.expect("open");
                    assert_eq!(written, size);
                    let mut left = size;
                    while left > 0 {
                        left -= connection.read(left, None).await.expect("open").len();
                    }
                });
            });
        });
    }
    group.finish();
}

fn poll(criterion: &mut Criterion, runtime: &Runtime) {
    let config = NetConfig::permissive().with_max_connections(CONNECTIONS);
    let network = Network::new(&config);
    let mut pairs: Vec<(Connection, TcpStream)> =
        (0..CONNECTIONS).map(|_| pair(&network, runtime)).collect();
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
    let mut index = 0;
    criterion.bench_function("poll/one of 1,000 connections is readable", |b| {
        b.iter(|| {
            index = (index + 1) % CONNECTIONS;
            pairs[index].1.write_all(b"x").expect("buffer space");
========
    let mut next = 0;
    criterion.bench_function("poll/one of 1,000 connections is readable", |b| {
        b.iter(|| {
            next = (next + 1) % CONNECTIONS;
            pairs[next].1.write_all(b"x").expect("the socket takes it");
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
            let mut ready = None;
            let mut poll_set = PollSet::default();
            for (connection, _) in &pairs {
                poll_set.add(connection.poll_item_readable());
            }
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
            let result = poll_set.poll(None);
            let wait = poll::wait_ready_after(&result, None, |sweep| {
                for (n, (connection, _)) in pairs.iter_mut().enumerate() {
                    if sweep.poll(|cx| connection.poll_readable(cx)) {
========
            let readiness = poll_set.poll(None);
            let waited = poll::wait_ready_after(&poll, None, |sweep| {
                for (n, (connection, _)) in pairs.iter_mut().enumerate() {
                    if sweep.poll(|cx| connection.poll_readable(cx)) {
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
                        ready = Some(n);
                    }
                }
                ready.is_some()
            });
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
            assert!(runtime.block_on(wait));
            assert_eq!(ready, Some(index));
            let read = pairs[index].0.read(1, None);
========
            assert!(runtime.block_on(waited));
            assert_eq!(ready, Some(next));
            let read = pairs[next].0.read(1, None);
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
            runtime.block_on(read).expect("there is one byte");
        });
    });
}

<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
/// Returns a connection, and the peer's socket.
fn pair(network: &Network, runtime: &Runtime) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .expect("a port: `ulimit -n` must allow more than 2,000 descriptors");
========
/// Returns a connection and its peer.
fn pair(network: &Network, runtime: &Runtime) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .expect("a port: `ulimit -n` has to allow more than 2,000 file descriptors");
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
    let port = listener.local_addr().expect("bound").port();
    let connection = runtime.block_on(async {
        let mut connection = network.connect("127.0.0.1", port).expect("allowed");
        connection.finish_connect(None).await.expect("connects");
        connection
    });
<<<<<<<< HEAD:eryx-net-host/benches/tcp_io.rs
    let (peer, _) = listener.accept().expect("a connection");
    peer.set_nodelay(true).expect("an open socket");
========
    let (peer, _) = listener.accept().expect("the client has connected");
    peer.set_nodelay(true).expect("open");
>>>>>>>> c533f74 (all: follow the renamed items of net-host):eryx-net-host/benches/connection_io.rs
    (connection, peer)
}
