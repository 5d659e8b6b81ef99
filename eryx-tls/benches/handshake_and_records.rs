//! Measures handshakes and records in memory, between a client of this crate and a rustls server.

use std::io::{Read as _, Write as _};
use std::task::Poll;

use criterion::{Criterion, Throughput};
use eryx_testkit::{CertificateAuthority, Leaf, ServerTls};
use eryx_tls::{ClientSettings, Connector, Session, TrustStore};
use rustls::ServerConnection;

const SIZES: [usize; 2] = [20, 16 << 10];

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let authority = CertificateAuthority::new().expect("an authority");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("a certificate");
    let config = ServerTls::new(&identity).build().expect("a configuration");
    let trust = TrustStore::empty()
        .with_root_cert(authority.pem().as_bytes())
        .expect("a certificate");
    let connector = Connector::new(trust, false);
    let settings = ClientSettings::for_name("localhost");
    let established = || {
        let client = connector.session(&settings).expect("a session");
        let server = ServerConnection::new(config.clone()).expect("a session");
        established(client, server)
    };

    criterion.bench_function("handshake, both ends", |b| b.iter(&established));
    let (mut client, mut server) = established();
    let mut group = criterion.benchmark_group("record");
    for size in SIZES {
        let data = vec![b'x'; size];
        let mut buffer = vec![0; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("write {size} B"), |b| {
            b.iter(|| {
                assert!(matches!(client.write(&data), Poll::Ready(Ok(n)) if n == size));
                deliver(&client.take(usize::MAX), &mut server);
                server
                    .reader()
                    .read_exact(&mut buffer)
                    .expect("the whole record");
            });
        });
        group.bench_function(format!("read {size} B"), |b| {
            b.iter(|| {
                server.writer().write_all(&data).expect("buffer space");
                collect(&mut server, &mut client);
                assert!(matches!(client.read(size), Poll::Ready(Ok(read)) if read.len() == size));
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

fn established(mut client: Session, mut server: ServerConnection) -> (Session, ServerConnection) {
    while client.handshake().is_pending() || server.is_handshaking() {
        deliver(&client.take(usize::MAX), &mut server);
        collect(&mut server, &mut client);
    }
    (client, server)
}

/// Transfers ciphertext from the client to the server.
fn deliver(mut ciphertext: &[u8], server: &mut ServerConnection) {
    while !ciphertext.is_empty() {
        server.read_tls(&mut ciphertext).expect("in memory");
        server.process_new_packets().expect("valid TLS");
    }
}

/// Transfers ciphertext from the server to the client.
fn collect(server: &mut ServerConnection, client: &mut Session) {
    let mut ciphertext = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut ciphertext).expect("in memory");
    }
    let taken = client.feed(&ciphertext).expect("valid TLS");
    assert_eq!(taken, ciphertext.len());
}
