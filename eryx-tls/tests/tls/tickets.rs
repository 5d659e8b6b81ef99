//! Session tickets, which no reader ever sees, and other bytes that lead to no plaintext.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use eryx_testkit::forged;
use eryx_testkit::sealer::{Sealer, ticket};
use eryx_tls::{
    ClientSettings, Connector, Handshake, POLL_LIMIT, Session, SessionCache, TICKET_LIMIT,
    TlsError, TlsStream,
};
use rustls::version::TLS13;
use rustls::{ContentType, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::peer::{Authority, HOST};
use crate::session::Pair;

/// What a peer sends when it is asked for more, for as long as it is.
type Source = Box<dyn FnMut() -> Vec<u8> + Send>;

/// A transport in memory. With a source there is always more to read.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    source: Option<Source>,
    /// The most bytes that one read finds.
    piece: Option<usize>,
    reads: usize,
    bytes: usize,
}

impl Wire {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap()
    }

    fn begin_to_send(&self, source: Source, piece: Option<usize>) {
        let mut ends = self.ends();
        ends.source = Some(source);
        ends.piece = piece;
    }

    /// How many reads there were since the last call, and of how many bytes.
    fn taken(&self) -> (usize, usize) {
        let mut ends = self.ends();
        (
            std::mem::take(&mut ends.reads),
            std::mem::take(&mut ends.bytes),
        )
    }
}

impl AsyncRead for Wire {
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
        let piece = ends.piece.unwrap_or(usize::MAX);
        let count = ends.to_client.len().min(buf.remaining()).min(piece);
        buf.put_slice(&ends.to_client[..count]);
        ends.to_client.drain(..count);
        ends.reads += 1;
        ends.bytes += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
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

fn server_config(authority: &Authority) -> ServerConfig {
    let mut config = authority.issue(&[HOST]).server_with(&[&TLS13]);
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    config
}

/// A client on a wire, after the handshake, and what speaks for its server.
fn secured(connector: &Connector, config: ServerConfig) -> (TlsStream<Wire>, Wire, Sealer) {
    let wire = Wire::default();
    let settings = ClientSettings::for_name(HOST);
    let mut handshake: Handshake<Wire> = connector.upgrade(&settings, wire.clone()).unwrap();
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let mut client = None;
    while client.is_none() || server.is_handshaking() {
        if client.is_none()
            && let Poll::Ready(outcome) =
                handshake.poll_handshake(&mut Context::from_waker(Waker::noop()))
        {
            client = Some(outcome.unwrap());
        }
        let mut ends = wire.ends();
        let said = std::mem::take(&mut ends.to_server);
        server.read_tls(&mut said.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        while server.wants_write() {
            server.write_tls(&mut ends.to_client).unwrap();
        }
    }
    wire.taken();
    (client.unwrap(), wire, Sealer::new(server).unwrap())
}

fn session(authority: &Authority) -> (Session, Sealer) {
    let settings = ClientSettings::for_name(HOST);
    let session = authority.connector().session(&settings).unwrap();
    let mut pair = Pair::with(session, server_config(authority), usize::MAX);
    pair.shuttle();
    (pair.session, Sealer::new(pair.server).unwrap())
}

fn is_too_many(error: &TlsError) -> bool {
    matches!(error, TlsError::Protocol(text) if text.contains("session tickets"))
}

#[test]
fn a_peer_may_send_as_many_tickets_as_the_limit_and_one_more_fails_the_connection() {
    let authority = Authority::new();
    let (mut session, mut sealer) = session(&authority);
    for _ in 0..TICKET_LIMIT {
        let record = sealer.record(ContentType::Handshake, &ticket(3));
        assert_eq!(session.feed(&record).unwrap(), record.len());
        assert!(session.read(1).is_pending());
    }
    let record = sealer.record(ContentType::Handshake, &ticket(3));
    session.feed(&record).unwrap();
    match session.read(1) {
        Poll::Ready(Err(error)) => assert!(is_too_many(&error), "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(session.feed(&record).is_err(), "it stays so");
}

#[test]
fn tickets_are_counted_whatever_records_they_come_in() {
    let authority = Authority::new();
    // Many in one record, one in many, and both at once.
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
fn a_poll_takes_in_no_more_than_its_limit_and_wakes_its_task_when_there_is_more() {
    let authority = Authority::new();
    // What the peer sends, and the most that one read finds of it.
    type Case = (fn(&mut Sealer) -> Vec<u8>, Option<usize>);
    let cases: [Case; 5] = [
        (|sealer| sealer.handshake(&ticket(60_000), 16 * 1024), None),
        (
            |sealer| sealer.handshake(&ticket(60_000), 16 * 1024),
            Some(1),
        ),
        (|sealer| sealer.handshake(&ticket(60_000), 100), Some(700)),
        (|sealer| sealer.handshake(&ticket(5_000), 1), None),
        // A message that never ends.
        (
            |sealer| sealer.record(ContentType::Handshake, &[4, 0, 250, 0]),
            Some(1),
        ),
    ];
    for (number, (say, piece)) in cases.into_iter().enumerate() {
        for operation in 0..3 {
            let connector = authority.connector();
            let (mut client, wire, mut sealer) = secured(&connector, server_config(&authority));
            wire.begin_to_send(Box::new(move || say(&mut sealer)), piece);
            let wakes = Arc::new(Wakes::default());
            let waker = Waker::from(Arc::clone(&wakes));
            for poll in 1..=3 {
                let mut cx = Context::from_waker(&waker);
                let is_ready = match operation {
                    0 => client.poll_readable(&mut cx).is_ready(),
                    1 => client.poll_read(&mut cx, &mut [0; 8]).is_ready(),
                    _ => client.poll_end(&mut cx).is_ready(),
                };
                let (reads, bytes) = wire.taken();
                assert!(bytes <= POLL_LIMIT, "case {number}: {bytes} bytes");
                assert!(reads <= 64, "case {number}: {reads} reads");
                if is_ready {
                    // It may only have failed: there was no plaintext.
                    let outcome = client.poll_read(&mut cx, &mut [0; 8]);
                    assert!(matches!(outcome, Poll::Ready(Err(_))), "{outcome:?}");
                    break;
                }
                assert!(client.gave_way());
                assert_eq!(wakes.0.load(Ordering::Relaxed), poll, "case {number}");
            }
        }
    }
}

#[test]
fn a_handshake_whose_peer_sends_byte_after_byte_gives_way_too() {
    let connector = Authority::new().connector();
    let wire = Wire::default();
    // A ServerHello that takes its time, and is 60 KiB long.
    let hello = forged::records(22, &forged::message(2, &[0; 60 * 1024]));
    wire.begin_to_send(Box::new(move || hello.clone()), Some(1));
    let settings = ClientSettings::for_name(HOST);
    let mut handshake = connector.upgrade(&settings, wire.clone()).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    for poll in 1..=3 {
        let outcome = handshake.poll_handshake(&mut Context::from_waker(&waker));
        assert!(outcome.is_pending());
        assert!(handshake.gave_way());
        assert!(wire.taken().0 <= 64);
        assert_eq!(wakes.0.load(Ordering::Relaxed), poll);
    }
}

#[test]
fn bytes_behind_much_padding_are_read_one_record_at_a_time() {
    let authority = Authority::new();
    let (mut client, wire, mut sealer) = secured(&authority.connector(), server_config(&authority));
    wire.begin_to_send(Box::new(move || sealer.padded(b"x", 16_000)), None);
    for _ in 0..100 {
        let mut buffer = [0; 1];
        let read = client.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
        assert_eq!(&buffer, b"x");
        assert!(wire.taken().1 <= POLL_LIMIT);
    }
}

#[test]
fn sessions_of_any_size_take_a_bounded_number_of_bytes() {
    let authority = Authority::new();
    let cache = SessionCache::new();
    let connector = authority.connector().scoped(cache.clone());
    for size in [100, 20_000, 40_000, 65_000] {
        // More servers than the cache has room for, each with as many tickets as it keeps.
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
                // Too large to be kept; others may have had to go for the server.
                65_000 => assert!(cache.size() <= before),
                _ => {}
            }
        }
    }
}
