//! Tests of session tickets and other messages that lead to no plaintext.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use eryx_sync::{Mutex, MutexGuard};
use eryx_testkit::forged;
use eryx_testkit::sealer::{Sealer, ticket};
use eryx_tls::{
    ClientSettings, Connector, Handshake, POLL_LIMIT, Session, SessionCache, TICKET_LIMIT,
    TlsError, TlsStream,
};
use rustls::version::TLS13;
use rustls::{ContentType, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::{CertificateAuthority, HOST};
use crate::session::Pair;

/// Returns the next bytes of an endless sender.
type Source = Box<dyn FnMut() -> Vec<u8> + Send>;

/// A transport in memory. With a source it always has more bytes to read.
#[derive(Clone, Default)]
struct MemoryTransport(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    source: Option<Source>,
    /// The most bytes that one read returns.
    max_read: Option<usize>,
    reads: usize,
    bytes: usize,
}

impl MemoryTransport {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock()
    }

    fn set_source(&self, source: Source, max_read: Option<usize>) {
        let mut ends = self.ends();
        ends.source = Some(source);
        ends.max_read = max_read;
    }

    /// Returns the number of reads since the last call, and of the bytes read.
    fn take_counts(&self) -> (usize, usize) {
        let mut ends = self.ends();
        (
            std::mem::take(&mut ends.reads),
            std::mem::take(&mut ends.bytes),
        )
    }
}

impl AsyncRead for MemoryTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut ends = self.ends();
        while ends.to_client.len() < buf.remaining()
            && let Some(source) = &mut ends.source
        {
            let more = source();
            ends.to_client.extend(more);
        }
        if ends.to_client.is_empty() {
            return Poll::Pending;
        }
        let max_read = ends.max_read.unwrap_or(usize::MAX);
        let count = ends.to_client.len().min(buf.remaining()).min(max_read);
        buf.put_slice(&ends.to_client[..count]);
        ends.to_client.drain(..count);
        ends.reads += 1;
        ends.bytes += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MemoryTransport {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.ends().to_server.extend(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn server_config(authority: &CertificateAuthority) -> ServerConfig {
    let mut config = authority.issue(&[HOST]).server_with(&[&TLS13]);
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    config
}

/// Returns a client after its handshake, its transport, and an encoder of the server's records.
fn established(
    connector: &Connector,
    config: ServerConfig,
) -> (TlsStream<MemoryTransport>, MemoryTransport, Sealer) {
    let transport = MemoryTransport::default();
    let settings = ClientSettings::for_name(HOST);
    let mut handshake: Handshake<MemoryTransport> =
        connector.upgrade(&settings, transport.clone()).unwrap();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let mut client = None;
    while client.is_none() || server.is_handshaking() {
        if client.is_none()
            && let Poll::Ready(outcome) =
                handshake.poll_handshake(&mut Context::from_waker(Waker::noop()))
        {
            client = Some(outcome.unwrap());
        }
        let mut ends = transport.ends();
        let received = std::mem::take(&mut ends.to_server);
        server.read_tls(&mut received.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        while server.wants_write() {
            server.write_tls(&mut ends.to_client).unwrap();
        }
    }
    transport.take_counts();
    (client.unwrap(), transport, Sealer::new(server).unwrap())
}

fn session(authority: &CertificateAuthority) -> (Session, Sealer) {
    let settings = ClientSettings::for_name(HOST);
    let session = authority.connector().session(&settings).unwrap();
    let mut pair = Pair::with(session, server_config(authority), usize::MAX);
    pair.shuttle();
    (pair.session, Sealer::new(pair.server).unwrap())
}

fn is_ticket_limit(error: &TlsError) -> bool {
    matches!(error, TlsError::Protocol(text) if text.contains("session tickets"))
}

#[test]
fn one_ticket_over_the_limit_fails_the_connection() {
    let authority = CertificateAuthority::new();
    let (mut session, mut sealer) = session(&authority);
    for _ in 0..TICKET_LIMIT {
        let record = sealer.record(ContentType::Handshake, &ticket(3));
        assert_eq!(session.feed(&record).unwrap(), record.len());
        assert!(session.read(1).is_pending());
    }
    let record = sealer.record(ContentType::Handshake, &ticket(3));
    session.feed(&record).unwrap();
    match session.read(1) {
        Poll::Ready(Err(error)) => assert!(is_ticket_limit(&error), "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(
        session.feed(&record).is_err(),
        "the error is returned again"
    );
}

#[test]
fn tickets_are_counted_however_they_are_split_into_records() {
    let authority = CertificateAuthority::new();
    // Many tickets in one record, one ticket in many records, and both.
    for (tickets, size, piece) in [(500, 1, 16 * 1024), (100, 60, 1), (70, 40, 10)] {
        let (mut session, mut sealer) = session(&authority);
        let message: Vec<u8> = std::iter::repeat_n(ticket(size), tickets)
            .flatten()
            .collect();
        let mut records = sealer.handshake(&message, piece);
        while !records.is_empty() {
            let Ok(taken) = session.feed(&records) else {
                break;
            };
            records.drain(..taken);
        }
        match session.read(1) {
            Poll::Ready(Err(TlsError::Protocol(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_poll_reads_at_most_its_limit_and_then_wakes_its_task() {
    let authority = CertificateAuthority::new();
    // The source of the peer's bytes, and the most bytes that one read returns.
    type Case = (fn(&mut Sealer) -> Vec<u8>, Option<usize>);
    let cases: [Case; 5] = [
        (|sealer| sealer.handshake(&ticket(60_000), 16 * 1024), None),
        (
            |sealer| sealer.handshake(&ticket(60_000), 16 * 1024),
            Some(1),
        ),
        (|sealer| sealer.handshake(&ticket(60_000), 100), Some(700)),
        (|sealer| sealer.handshake(&ticket(5_000), 1), None),
        // An endless message.
        (
            |sealer| sealer.record(ContentType::Handshake, &[4, 0, 250, 0]),
            Some(1),
        ),
    ];
    for (number, (source, max_read)) in cases.into_iter().enumerate() {
        for operation in 0..3 {
            let connector = authority.connector();
            let (mut client, transport, mut sealer) =
                established(&connector, server_config(&authority));
            transport.set_source(Box::new(move || source(&mut sealer)), max_read);
            let wakes = Arc::new(Wakes::default());
            let waker = Waker::from(Arc::clone(&wakes));
            for poll in 1..=3 {
                let mut cx = Context::from_waker(&waker);
                let is_ready = match operation {
                    0 => client.poll_readable(&mut cx).is_ready(),
                    1 => client.poll_read(&mut cx, &mut [0; 8]).is_ready(),
                    _ => client.poll_close(&mut cx).is_ready(),
                };
                let (reads, bytes) = transport.take_counts();
                assert!(bytes <= POLL_LIMIT, "case {number}: {bytes} bytes");
                assert!(reads <= 64, "case {number}: {reads} reads");
                if is_ready {
                    // Ready without plaintext can only be an error.
                    let outcome = client.poll_read(&mut cx, &mut [0; 8]);
                    assert!(matches!(outcome, Poll::Ready(Err(_))), "{outcome:?}");
                    break;
                }
                assert!(client.yielded());
                assert_eq!(wakes.0.load(Ordering::Relaxed), poll, "case {number}");
            }
        }
    }
}

#[test]
fn a_handshake_that_receives_single_bytes_yields() {
    let connector = CertificateAuthority::new().connector();
    let transport = MemoryTransport::default();
    // A ServerHello of 60 KiB that arrives in single bytes.
    let hello = forged::records(22, &forged::message(2, &[0; 60 * 1024]));
    transport.set_source(Box::new(move || hello.clone()), Some(1));
    let settings = ClientSettings::for_name(HOST);
    let mut handshake = connector.upgrade(&settings, transport.clone()).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    for poll in 1..=3 {
        let outcome = handshake.poll_handshake(&mut Context::from_waker(&waker));
        assert!(outcome.is_pending());
        assert!(handshake.yielded());
        assert!(transport.take_counts().0 <= 64);
        assert_eq!(wakes.0.load(Ordering::Relaxed), poll);
    }
}

#[test]
fn padded_records_are_read_one_at_a_time() {
    let authority = CertificateAuthority::new();
    let (mut client, transport, mut sealer) =
        established(&authority.connector(), server_config(&authority));
    transport.set_source(Box::new(move || sealer.padded(b"x", 16_000)), None);
    for _ in 0..100 {
        let mut buffer = [0; 1];
        let read = client.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
        assert_eq!(&buffer, b"x");
        assert!(transport.take_counts().1 <= POLL_LIMIT);
    }
}

#[test]
fn the_session_cache_stays_within_its_size_for_sessions_of_any_size() {
    let authority = CertificateAuthority::new();
    let cache = SessionCache::new();
    let connector = authority.connector().scoped(cache.clone());
    for size in [100, 20_000, 40_000, 65_000] {
        // More servers than the cache can hold, each with as many tickets as it stores.
        for number in 0..40 {
            let name = format!("{size}x{number}.example");
            let mut config = authority.issue(&[&name]).server_with(&[&TLS13]);
            config.enable_secret_extraction = true;
            config.send_tls13_tickets = 0;
            let session = connector.session(&ClientSettings::for_name(name)).unwrap();
            let mut pair = Pair::with(session, config, usize::MAX);
            pair.shuttle();
            let mut sealer = Sealer::new(pair.server).unwrap();
            let before = cache.size();
            for _ in 0..4 {
                let records = sealer.handshake(&ticket(size), 16 * 1024);
                assert_eq!(pair.session.feed(&records).unwrap(), records.len());
            }
            assert!(cache.size() <= 512 * 1024, "{}", cache.size());
            match size {
                100 if number == 0 => assert!(cache.size() > before),
                // Too large to store. The server itself may have evicted another one.
                65_000 => assert!(cache.size() <= before),
                _ => {}
            }
        }
    }
}
