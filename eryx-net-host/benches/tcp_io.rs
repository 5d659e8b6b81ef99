//! What it costs to carry bytes, in the clear and over TLS, and to wait for one of a thousand connections. The other
//! ends are sockets on loopback, so that the kernel's part is in the figures.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use criterion::{Criterion, Throughput};
use eryx_net_host::readiness::{self, PollSet};
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Connection, NetConfig, Network};
use eryx_testkit::{CertificateAuthority, Leaf, ServerTls};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 1000;
const PIECES: [usize; 3] = [20, 4 << 10, 64 << 10];

fn main() {
    // Few samples, so that all of it takes seconds.
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    plain(&mut criterion, &runtime);
    encrypted(&mut criterion, &runtime);
    poll(&mut criterion, &runtime);
    criterion.final_summary();
}

/// One piece at a time, with the other end in this thread: nobody is waited for.
fn plain(criterion: &mut Criterion, runtime: &Runtime) {
    let network = Network::new(&NetConfig::permissive());
    let (mut connection, mut other) = pair(&network, runtime);
    let mut group = criterion.benchmark_group("plain");
    for size in PIECES {
        let data = vec![b'x'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("read {size} B"), |b| {
            b.iter(|| {
                other.write_all(&data).expect("the socket takes it");
                let mut left = size;
                while left > 0 {
                    let read = connection.read(left, None);
                    left -= runtime.block_on(read).expect("there is some").len();
                }
            });
        });
        let mut buffer = vec![0; size];
        group.bench_function(format!("write {size} B"), |b| {
            b.iter(|| {
                let written = runtime.block_on(connection.write(&data, None));
                assert_eq!(written.expect("the socket takes it"), size);
                other.read_exact(&mut buffer).expect("it comes");
            });
        });
    }
    group.finish();
}

/// There and back, through a server in a thread of its own.
fn encrypted(criterion: &mut Criterion, runtime: &Runtime) {
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
        let secured = connection.start_tls(&settings, None).await;
        secured.expect("shakes hands");
        connection
    });
    let mut group = criterion.benchmark_group("tls");
    for size in PIECES {
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
    let mut turn = 0;
    criterion.bench_function("poll/one of 1,000 connections is readable", |b| {
        b.iter(|| {
            turn = (turn + 1) % CONNECTIONS;
            pairs[turn].1.write_all(b"x").expect("the socket takes it");
            let mut ready = None;
            let mut inquiry = PollSet::default();
            for (connection, _) in &pairs {
                inquiry.add(connection.poll_item_readable());
            }
            let told = inquiry.ask(None);
            let waited = readiness::wait_ready_after(&told, None, |look| {
                for (n, (connection, _)) in pairs.iter_mut().enumerate() {
                    if look.is_ready(|cx| connection.poll_readable(cx)) {
                        ready = Some(n);
                    }
                }
                ready.is_some()
            });
            assert!(runtime.block_on(waited));
            assert_eq!(ready, Some(turn));
            let read = pairs[turn].0.read(1, None);
            runtime.block_on(read).expect("there is one byte");
        });
    });
}

/// A connection, and the other end of it.
fn pair(network: &Network, runtime: &Runtime) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .expect("a port: `ulimit -n` has to allow more than 2,000 descriptors");
    let port = listener.local_addr().expect("bound").port();
    let connection = runtime.block_on(async {
        let mut connection = network.connect("127.0.0.1", port).expect("may connect");
        connection.finish_connect(None).await.expect("connects");
        connection
    });
    let (other, _) = listener.accept().expect("it has connected");
    other.set_nodelay(true).expect("open");
    (connection, other)
}
