//! Throughput of a connection, in plaintext and over TLS, and the cost of waiting for one of a
//! thousand connections. The peers are sockets on loopback, so that the results include the
//! kernel's work.

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
const MESSAGE_SIZES: [usize; 3] = [20, 4 << 10, 64 << 10];

fn main() {
    // Few samples, so that the whole run takes seconds.
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

/// Transfers one message at a time. The peer is in this thread, so that no operation waits.
fn plain(criterion: &mut Criterion, runtime: &Runtime) {
    let network = Network::new(&NetConfig::permissive());
    let (mut connection, mut peer) = pair(&network, runtime);
    let mut group = criterion.benchmark_group("plain");
    for size in MESSAGE_SIZES {
        let data = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("read {size} B"), |b| {
            b.iter(|| {
                peer.write_all(&data).expect("the socket takes it");
                let mut left = size;
                while left > 0 {
                    let read = connection.read(left, None);
                    left -= runtime.block_on(read).expect("bytes are available").len();
                }
            });
        });
        let mut buffer = vec![0; size];
        group.bench_function(format!("write {size} B"), |b| {
            b.iter(|| {
                let written = runtime.block_on(connection.write(&data, None));
                assert_eq!(written.expect("the socket takes it"), size);
                peer.read_exact(&mut buffer).expect("the bytes arrive");
            });
        });
    }
    group.finish();
}

/// Sends messages to an echo server in a thread of its own.
fn tls(criterion: &mut Criterion, runtime: &Runtime) {
    let authority = CertificateAuthority::new().expect("an authority");
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
        let mut connection = network.connect("127.0.0.1", port).expect("may connect");
        connection.finish_connect(None).await.expect("connects");
        let settings = ClientSettings::for_name("localhost");
        let started = connection.start_tls(&settings, None).await;
        started.expect("the handshake succeeds");
        connection
    });
    let mut group = criterion.benchmark_group("tls");
    for size in MESSAGE_SIZES {
        let data = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{size} B there and back"), |b| {
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
    let mut next = 0;
    criterion.bench_function("poll/one of 1,000 connections is readable", |b| {
        b.iter(|| {
            next = (next + 1) % CONNECTIONS;
            pairs[next].1.write_all(b"x").expect("the socket takes it");
            let mut ready = None;
            let mut poll_set = PollSet::default();
            for (connection, _) in &pairs {
                poll_set.add(connection.poll_item_readable());
            }
            let readiness = poll_set.poll(None);
            let waited = poll::wait_ready_after(&readiness, None, |sweep| {
                for (n, (connection, _)) in pairs.iter_mut().enumerate() {
                    if sweep.poll(|cx| connection.poll_readable(cx)) {
                        ready = Some(n);
                    }
                }
                ready.is_some()
            });
            assert!(runtime.block_on(waited));
            assert_eq!(ready, Some(next));
            let read = pairs[next].0.read(1, None);
            runtime.block_on(read).expect("there is one byte");
        });
    });
}

/// Returns a connection and its peer.
fn pair(network: &Network, runtime: &Runtime) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .expect("a port: `ulimit -n` has to allow more than 2,000 file descriptors");
    let port = listener.local_addr().expect("bound").port();
    let connection = runtime.block_on(async {
        let mut connection = network.connect("127.0.0.1", port).expect("may connect");
        connection.finish_connect(None).await.expect("connects");
        connection
    });
    let (peer, _) = listener.accept().expect("the client has connected");
    peer.set_nodelay(true).expect("open");
    (connection, peer)
}
