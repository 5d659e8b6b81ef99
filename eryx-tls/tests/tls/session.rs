//! Tests of sessions without a transport.

use std::io::{Read, Write};
use std::sync::Arc;
use std::task::Poll;

use eryx_tls::{ClientSettings, Session, TlsError, Version};
use rustls::{ServerConfig, ServerConnection};

use crate::peer::{CertificateAuthority, HOST, established_pair, within_timeout};

/// A session and a server, with the ciphertext between them.
pub(crate) struct Pair {
    pub(crate) session: Session,
    pub(crate) server: ServerConnection,
    /// Plaintext that the server received.
    received: Vec<u8>,
    to_session: Vec<u8>,
    to_server: Vec<u8>,
    chunk: usize,
}

impl Pair {
    pub(crate) fn new(chunk: usize) -> Self {
        let authority = CertificateAuthority::new();
        let server = authority.issue(&[HOST]).server();
        let settings = ClientSettings::for_name(HOST);
        Self::with(
            authority.connector().session(&settings).unwrap(),
            server,
            chunk,
        )
    }

    pub(crate) fn with(session: Session, server: ServerConfig, chunk: usize) -> Self {
        Self {
            session,
            server: ServerConnection::new(Arc::new(server)).unwrap(),
            received: Vec::new(),
            to_session: Vec::new(),
            to_server: Vec::new(),
            chunk,
        }
    }

    pub(crate) fn established(chunk: usize) -> Self {
        let mut pair = Self::new(chunk);
        pair.shuttle();
        assert!(matches!(pair.session.handshake(), Poll::Ready(Ok(()))));
        pair
    }

    /// Transfers ciphertext both ways until there is none.
    pub(crate) fn shuttle(&mut self) {
        loop {
            let mut moved = self.to_server.len();
            let taken = self.session.take(self.chunk);
            moved += taken.len();
            self.to_server.extend(taken);
            let count = self.to_server.len().min(self.chunk);
            let mut slice = &self.to_server[..count];
            while !slice.is_empty() {
                self.server.read_tls(&mut slice).unwrap();
                let _ = self.server.process_new_packets();
                // The read always ends with `WouldBlock` or the peer's end, after the plaintext.
                let _ = self.server.reader().read_to_end(&mut self.received);
            }
            self.to_server.drain(..count);
            while self.server.wants_write() {
                self.server.write_tls(&mut self.to_session).unwrap();
            }
            let count = self.to_session.len().min(self.chunk);
            if count > 0
                && let Ok(fed) = self.session.feed(&self.to_session[..count])
            {
                self.to_session.drain(..fed);
                moved += fed;
            }
            if moved == 0 {
                return;
            }
        }
    }
}

#[test]
fn a_session_transfers_data_both_ways_in_chunks_of_any_size() {
    for chunk in [1, 2, 7, 1000, usize::MAX] {
        let mut pair = Pair::new(chunk);
        assert!(pair.session.handshake().is_pending());
        assert_eq!(pair.session.info(), None);
        assert!(pair.session.write(b"too early").is_pending());
        assert!(pair.session.read(10).is_pending());
        pair.shuttle();
        assert!(matches!(pair.session.handshake(), Poll::Ready(Ok(()))));
        assert_eq!(pair.session.info().unwrap().version, Version::Tls13);

        assert!(matches!(pair.session.write(b"ping"), Poll::Ready(Ok(4))));
        pair.shuttle();
        assert_eq!(pair.received, b"ping");

        pair.server.writer().write_all(b"pong").unwrap();
        pair.shuttle();
        assert_eq!(pair.session.pending(), 4);
        let read: Vec<Vec<u8>> = (0..2)
            .map(|_| match pair.session.read(3) {
                Poll::Ready(Ok(bytes)) => bytes,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read, [b"pon".to_vec(), b"g".to_vec()]);
        assert!(pair.session.read(3).is_pending());
        assert_eq!(pair.session.pending(), 0);
    }
}

#[test]
fn a_session_transfers_a_long_body_unchanged_both_ways() {
    let mut pair = Pair::established(3000);
    let sent: Vec<u8> = (0..1_000_000u32).map(|index| (index % 251) as u8).collect();
    let mut down = Vec::new();
    let (mut written, mut answered) = (0, 0);
    while pair.received.len() < sent.len() || down.len() < sent.len() {
        if let Poll::Ready(taken) = pair.session.write(&sent[written..]) {
            written += taken.unwrap();
        }
        answered += pair.server.writer().write(&sent[answered..]).unwrap();
        pair.shuttle();
        while let Poll::Ready(bytes) = pair.session.read(5000) {
            down.extend(bytes.unwrap());
        }
    }
    assert!(pair.received == sent);
    assert!(down == sent);
}

#[test]
fn close_waits_for_the_peers_close_notify() {
    let mut pair = Pair::established(1000);
    assert!(pair.session.close().is_pending());
    pair.shuttle();
    assert!(pair.session.close().is_pending());
    assert_eq!(pair.server.reader().read(&mut [0; 8]).unwrap(), 0);
    pair.server.send_close_notify();
    pair.shuttle();
    assert!(matches!(pair.session.close(), Poll::Ready(Ok(()))));
    match pair.session.read(8) {
        Poll::Ready(Ok(bytes)) => assert!(bytes.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn close_before_the_handshake_is_complete_is_a_protocol_error() {
    let mut pair = Pair::new(1000);
    match pair.session.close() {
        Poll::Ready(Err(TlsError::Protocol(text))) => {
            assert!(text.starts_with("shutdown while in init: "), "{text}");
        }
        other => panic!("{other:?}"),
    }
    pair.shuttle();
    assert!(matches!(pair.session.handshake(), Poll::Ready(Ok(()))));
}

#[test]
fn the_end_of_the_transport_is_an_unexpected_eof_at_any_time() {
    let mut early = Pair::new(1000);
    early.session.feed_eof();
    assert!(matches!(
        early.session.handshake(),
        Poll::Ready(Err(TlsError::UnexpectedEof))
    ));
    assert!(matches!(
        early.session.feed(b"x"),
        Err(TlsError::Refused(_))
    ));

    let mut late = Pair::established(1000);
    late.server.writer().write_all(b"cut").unwrap();
    late.shuttle();
    late.session.feed_eof();
    match late.session.read(8) {
        Poll::Ready(Ok(bytes)) => assert_eq!(bytes, b"cut"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        late.session.read(8),
        Poll::Ready(Err(TlsError::UnexpectedEof))
    ));
    assert!(matches!(
        late.session.close(),
        Poll::Ready(Err(TlsError::UnexpectedEof))
    ));
}

#[test]
fn a_rejected_certificate_fails_the_session_and_queues_an_alert() {
    let settings = ClientSettings::for_name(HOST);
    let session = CertificateAuthority::new()
        .connector()
        .session(&settings)
        .unwrap();
    let mut pair = Pair::with(
        session,
        CertificateAuthority::new().issue(&[HOST]).server(),
        1 << 16,
    );
    let hello = pair.session.take(usize::MAX);
    pair.to_server.extend(hello);
    while pair.session.handshake().is_pending() {
        pair.shuttle();
    }
    for _ in 0..2 {
        match pair.session.handshake() {
            Poll::Ready(Err(TlsError::Certificate { code, .. })) => assert_eq!(code, 20),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        pair.session.feed(b"x"),
        Err(TlsError::Certificate { .. })
    ));
    let error = pair.server.process_new_packets().unwrap_err().to_string();
    assert!(error.contains("UnknownCA"), "{error}");
}

#[test]
fn a_plain_text_peer_fails_the_session() {
    let mut pair = Pair::new(1000);
    pair.session.feed(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
    match pair.session.handshake() {
        Poll::Ready(Err(TlsError::Protocol(text))) => {
            assert!(text.starts_with("wrong version number: "), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_works_inside_a_tls_stream() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let (mut outer, far) = established_pair(1 << 12).await;
    let authority = CertificateAuthority::new();
    let acceptor =
        tokio_rustls::TlsAcceptor::from(Arc::new(authority.issue(&["inner.example"]).server()));
    let settings = ClientSettings::for_name("inner.example");
    let mut session = authority.connector().session(&settings).unwrap();
    let server = async {
        let mut inner = acceptor.accept(far).await.unwrap();
        let mut asked = [0; 8];
        inner.read_exact(&mut asked).await.unwrap();
        inner.write_all(&asked).await.unwrap();
        inner.shutdown().await.unwrap();
        inner
    };
    let client = async {
        let mut answer = Vec::new();
        let mut asked = false;
        loop {
            if !asked && session.write(b"question").is_ready() {
                asked = true;
            }
            let outgoing = session.take(usize::MAX);
            outer.write_all(&outgoing).await.unwrap();
            outer.flush().await.unwrap();
            match session.read(100) {
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => return answer,
                Poll::Ready(Ok(bytes)) => answer.extend(bytes),
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => {
                    let mut buf = [0; 700];
                    let count = outer.read(&mut buf).await.unwrap();
                    assert_eq!(session.feed(&buf[..count]).unwrap(), count);
                }
            }
        }
    };
    let (answer, _inner) = within_timeout(async { tokio::join!(client, server) }).await;
    assert_eq!(answer, b"question");
}
