use std::io::ErrorKind;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::ca::{CertificateAuthority, Leaf};
use crate::digest;
use crate::payload;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The time after which a peer counts as silent.
const SILENCE: Duration = Duration::from_millis(150);

struct Tls {
    ca: CertificateAuthority,
    identity: Identity,
}

impl Tls {
    fn new() -> Self {
        let ca = CertificateAuthority::new().unwrap();
        let identity = ca.issue(&Leaf::server(["localhost"])).unwrap();
        Self { ca, identity }
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = Arc::new(self.ca.client_config().unwrap());
        TlsConnector::from(config)
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
    }

    async fn connect(&self, peer: &Peer) -> io::Result<TlsStream<TcpStream>> {
        self.over(TcpStream::connect(peer.address()).await?).await
    }
}

async fn connect(peer: &Peer) -> TcpStream {
    TcpStream::connect(peer.address()).await.unwrap()
}

/// Reads to the end of the stream, and returns the bytes and the error that ended it, if any.
async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, Option<ErrorKind>) {
    let mut all = Vec::new();
    let outcome = stream.read_to_end(&mut all).await;
    (all, outcome.err().map(|error| error.kind()))
}

fn body(answer: &[u8]) -> &[u8] {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    &answer[end + 4..]
}

/// Writes until a write blocks for [`SILENCE`], and returns the number of bytes written.
async fn write_until_full(stream: &mut (impl AsyncWrite + Unpin)) -> u64 {
    let data = payload::bytes(64 * 1024);
    let mut written = 0;
    while let Ok(count) = tokio::time::timeout(SILENCE, stream.write(&data)).await {
        written += count.unwrap() as u64;
        assert!(
            written < 64 << 20,
            "a peer that does not read took {written} bytes"
        );
    }
    written
}

#[tokio::test]
async fn an_echo_peer_returns_everything_and_closes_with_its_client() {
    let tls = Tls::new();
    let plain = Peer::plain(Behaviour::Echo).await.unwrap();
    let secured = Peer::tls(Behaviour::Echo, &tls.identity).await.unwrap();
    let data = payload::bytes(10_000);
    let mut client = connect(&plain).await;
    client.write_all(&data).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (data.clone(), None));
    let mut client = tls.connect(&secured).await.unwrap();
    client.write_all(&data).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (data, None));
    for peer in [&plain, &secured] {
        let ended = peer.ended(1).await;
        assert_eq!((ended[0].received, ended[0].kind()), (10_000, None));
        assert_eq!(
            (peer.connections(), peer.open(), peer.received()),
            (1, 0, 10_000)
        );
    }
}

#[tokio::test]
async fn a_silent_peer_reads_and_sends_nothing() {
    let peer = Peer::plain(Behaviour::Silent).await.unwrap();
    let mut client = connect(&peer).await;
    client.write_all(REQUEST).await.unwrap();
    assert!(
        tokio::time::timeout(SILENCE, client.read_u8())
            .await
            .is_err()
    );
    assert_eq!((peer.received(), peer.open()), (REQUEST.len() as u64, 1));
    drop(client);
    assert_eq!(peer.ended(1).await[0].kind(), None);
}

#[tokio::test]
async fn a_silent_peer_leaves_a_handshake_hanging() {
    let tls = Tls::new();
    let peer = Peer::plain(Behaviour::Silent).await.unwrap();
    assert!(
        tokio::time::timeout(SILENCE, tls.connect(&peer))
            .await
            .is_err()
    );
    assert!(peer.ended(1).await[0].received > 100);
}

#[tokio::test]
async fn writes_to_a_peer_that_never_reads_block() {
    let tls = Tls::new();
    let plain = Peer::plain(Behaviour::NeverReads).await.unwrap();
    let secured = Peer::tls(Behaviour::NeverReads, &tls.identity)
        .await
        .unwrap();
    assert!(write_until_full(&mut connect(&plain).await).await > 0);
    assert!(write_until_full(&mut tls.connect(&secured).await.unwrap()).await > 0);
    assert_eq!((plain.received(), secured.received()), (0, 0));
}

#[tokio::test]
async fn a_slow_reader_receives_everything() {
    let behaviour = Behaviour::ReadsSlowly {
        piece: 1 << 14,
        every: Duration::from_millis(1),
    };
    let peer = Peer::plain(behaviour).await.unwrap();
    let mut client = connect(&peer).await;
    let data = payload::bytes(2 << 20);
    client.write_all(&data).await.unwrap();
    client.shutdown().await.unwrap();
    let (receipt, error) = read_all(&mut client).await;
    let expected = format!("{} {}\n", data.len(), digest::sha256(&data));
    assert_eq!(
        (String::from_utf8(receipt).unwrap(), error),
        (expected, None)
    );
}

#[tokio::test]
async fn a_receipt_peer_sends_the_digest_after_the_clients_half_close() {
    let tls = Tls::new();
    let peer = Peer::tls(Behaviour::Receipt, &tls.identity).await.unwrap();
    let mut client = tls.connect(&peer).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    assert!(
        tokio::time::timeout(SILENCE, client.read_u8())
            .await
            .is_err()
    );
    client.shutdown().await.unwrap();
    let expected = format!("5 {}\n", digest::sha256(b"hello"));
    assert_eq!(read_all(&mut client).await, (expected.into_bytes(), None));
}

#[tokio::test]
async fn a_peer_that_finishes_first_keeps_reading() {
    let peer = Peer::plain(Behaviour::FinishesFirst { bytes: 1000 })
        .await
        .unwrap();
    let mut client = connect(&peer).await;
    assert_eq!(read_all(&mut client).await, (payload::bytes(1000), None));
    client.write_all(b"still here").await.unwrap();
    drop(client);
    assert_eq!(peer.ended(1).await[0].received, 10);
}

#[tokio::test]
async fn a_peer_that_sends_forever_sends_the_payload() {
    let peer = Peer::plain(Behaviour::SendsForever).await.unwrap();
    let mut client = connect(&peer).await;
    let mut check = payload::Check::new();
    let mut buffer = vec![0; 1 << 16];
    while check.length() < 4 << 20 {
        let count = client.read(&mut buffer).await.unwrap();
        check.push(&buffer[..count]).unwrap();
    }
    drop(client);
    assert!(peer.ended(1).await[0].error.is_some());
}

#[tokio::test]
async fn a_peer_that_closes_at_once_closes_in_order() {
    let tls = Tls::new();
    let plain = Peer::plain(Behaviour::ClosesAtOnce).await.unwrap();
    assert_eq!(
        read_all(&mut connect(&plain).await).await,
        (Vec::new(), None)
    );
    let secured = Peer::tls(Behaviour::ClosesAtOnce, &tls.identity)
        .await
        .unwrap();
    assert_eq!(
        read_all(&mut tls.connect(&secured).await.unwrap()).await,
        (Vec::new(), None)
    );
}

#[tokio::test]
async fn a_peer_that_resets_at_the_first_byte_resets_plain_tcp_and_handshakes() {
    let tls = Tls::new();
    let peer = Peer::plain(Behaviour::ResetsAtFirstByte).await.unwrap();
    let mut client = connect(&peer).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(
        read_all(&mut client).await,
        (Vec::new(), Some(ErrorKind::ConnectionReset))
    );
    assert_eq!(
        tls.connect(&peer).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_peer_that_resets_mid_body_delivers_the_bytes_before_the_reset() {
    let tls = Tls::new();
    let behaviour = Behaviour::ResetsMidBody {
        announced: 50_000,
        sent: 3000,
    };
    let plain = Peer::plain(behaviour.clone()).await.unwrap();
    let secured = Peer::tls(behaviour, &tls.identity).await.unwrap();
    let mut client = connect(&plain).await;
    client.write_all(REQUEST).await.unwrap();
    let (answer, error) = read_all(&mut client).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(String::from_utf8_lossy(&answer).contains("Content-Length: 50000\r\n"));
    assert_eq!(
        (body(&answer), error),
        (&payload::bytes(3000)[..], Some(ErrorKind::ConnectionReset))
    );
    let mut client = tls.connect(&secured).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let (answer, error) = read_all(&mut client).await;
    assert_eq!(
        (body(&answer), error),
        (&payload::bytes(3000)[..], Some(ErrorKind::ConnectionReset))
    );
}

#[tokio::test]
async fn a_peer_that_ends_early_closes_in_order() {
    let tls = Tls::new();
    let behaviour = Behaviour::EndsEarly {
        announced: 50_000,
        sent: 3000,
    };
    let peer = Peer::tls(behaviour, &tls.identity).await.unwrap();
    let mut client = tls.connect(&peer).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let (answer, error) = read_all(&mut client).await;
    assert_eq!((body(&answer), error), (&payload::bytes(3000)[..], None));
    assert!(String::from_utf8_lossy(&answer).contains("Content-Length: 50000\r\n"));
}

#[tokio::test]
async fn a_body_without_close_notify_ends_with_unexpected_eof() {
    let tls = Tls::new();
    for (announced, header) in [
        (true, "Content-Length: 3000\r\n"),
        (false, "Connection: close\r\n"),
    ] {
        let behaviour = Behaviour::OmitsCloseNotify {
            body: 3000,
            announced,
        };
        let peer = Peer::tls(behaviour, &tls.identity).await.unwrap();
        let mut client = tls.connect(&peer).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let (answer, error) = read_all(&mut client).await;
        assert_eq!(
            (body(&answer), error),
            (&payload::bytes(3000)[..], Some(ErrorKind::UnexpectedEof))
        );
        assert!(String::from_utf8_lossy(&answer).contains(header));
    }
}

#[tokio::test]
async fn a_peer_without_tls_fails_the_handshake() {
    let tls = Tls::new();
    for behaviour in [Behaviour::http_instead_of_tls(), Behaviour::noise()] {
        let peer = Peer::plain(behaviour).await.unwrap();
        let error = tls.connect(&peer).await.unwrap_err();
        assert!(error.to_string().contains("corrupt message"), "{error}");
    }
    let peer = Peer::plain(Behaviour::http_instead_of_tls()).await.unwrap();
    let mut client = connect(&peer).await;
    client.write_all(b"\x16\x03\x01").await.unwrap();
    client.shutdown().await.unwrap();
    let (answer, error) = read_all(&mut client).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 ") && error.is_none());
}

#[tokio::test]
async fn a_starttls_peer_starts_and_ends_tls_twice_on_one_connection() {
    let tls = Tls::new();
    let config = ServerTls::new(&tls.identity).build().unwrap();
    let peer = Peer::plain(Behaviour::StartsTls(config)).await.unwrap();
    let mut client = connect(&peer).await;
    let mut buffer = [0; 64];
    for _ in 0..2 {
        client.write_all(b"in the clear\n").await.unwrap();
        assert_eq!(client.read(&mut buffer).await.unwrap(), 13);
        client.write_all(b"STARTTLS\r\n").await.unwrap();
        let count = client.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], b"go ahead\n");
        let config = Arc::new(tls.ca.client_config().unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = rustls::ClientConnection::new(config, name).unwrap();
        // Without `TlsStream`, whose shutdown would close the connection as well.
        let mut tls = ManualTls {
            session: &mut session,
            stream: &mut client,
        };
        tls.exchange(b"secret").await;
        tls.close().await;
    }
    drop(client);
    assert_eq!(peer.ended(1).await[0].kind(), None);
}

struct ManualTls<'a> {
    session: &'a mut rustls::ClientConnection,
    stream: &'a mut TcpStream,
}

impl ManualTls<'_> {
    async fn exchange(&mut self, text: &[u8]) {
        io::Write::write_all(&mut self.session.writer(), text).unwrap();
        let mut received = Vec::new();
        while received.len() < text.len() {
            self.step().await;
            let mut piece = [0; 64];
            if let Ok(count) = io::Read::read(&mut self.session.reader(), &mut piece) {
                received.extend_from_slice(&piece[..count]);
            }
        }
        assert_eq!(received, text);
    }

    async fn close(&mut self) {
        self.session.send_close_notify();
        while !self.step().await.peer_has_closed() {}
    }

    async fn step(&mut self) -> rustls::IoState {
        let mut out = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut out).unwrap();
        }
        self.stream.write_all(&out).await.unwrap();
        let mut incoming = [0; 4096];
        let count = self.stream.read(&mut incoming).await.unwrap();
        assert_ne!(count, 0, "the connection ended with TLS");
        self.session.read_tls(&mut &incoming[..count]).unwrap();
        self.session.process_new_packets().unwrap()
    }
}

#[tokio::test]
async fn a_client_that_closes_without_close_notify_is_logged_as_unexpected_eof() {
    let tls = Tls::new();
    let peer = Peer::tls(Behaviour::Echo, &tls.identity).await.unwrap();
    let mut client = tls.connect(&peer).await.unwrap();
    client.write_all(b"x").await.unwrap();
    client.read_u8().await.unwrap();
    drop(client);
    assert_eq!(
        peer.ended(1).await[0].kind(),
        Some(ErrorKind::UnexpectedEof)
    );
}

#[tokio::test]
async fn a_failed_handshake_is_logged_with_its_error() {
    let tls = Tls::new();
    let peer = Peer::tls(Behaviour::Echo, &tls.identity).await.unwrap();
    let stranger = Tls::new();
    stranger.connect(&peer).await.unwrap_err();
    let ended = peer.ended(1).await;
    assert!(
        ended[0]
            .error
            .as_ref()
            .unwrap()
            .to_string()
            .contains("UnknownCA"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_dropped_peer_closes_its_connections() {
    let peer = Peer::plain(Behaviour::Silent).await.unwrap();
    let mut client = connect(&peer).await;
    client.write_all(b"x").await.unwrap();
    while peer.received() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(peer);
    tokio::time::timeout(Duration::from_secs(5), read_all(&mut client))
        .await
        .unwrap();
}
