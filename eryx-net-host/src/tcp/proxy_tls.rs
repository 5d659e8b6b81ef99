//! TLS to a proxy, below the connection of the guest program.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use eryx_tls::{TlsError, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tcp::lazy_tcp_stream::LazyTcpStream;

/// The most reads between two yields that may process ciphertext, up to
/// [`POLL_LIMIT`](eryx_tls::POLL_LIMIT) bytes each. The guest program's TLS reads many times in one
/// poll, so that a hostile proxy could otherwise make one poll long.
const MAX_READS: u32 = 2;

/// A TLS stream to a proxy.
///
/// An error of this TLS is a reset for the connection above it: what arrived may be incomplete.
pub(super) struct ProxyTls {
    stream: TlsStream<LazyTcpStream>,
    /// Reads of ciphertext since the last time that a read had to wait.
    reads: u32,
    yielded: bool,
}

impl ProxyTls {
    pub(super) fn new(stream: TlsStream<LazyTcpStream>) -> Self {
        Self {
            stream,
            reads: 0,
            yielded: false,
        }
    }

    pub(super) fn tcp(&self) -> &LazyTcpStream {
        self.stream.get_ref()
    }

    pub(super) fn tcp_mut(&mut self) -> &mut LazyTcpStream {
        self.stream.get_mut()
    }

    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let spare = buffer.capacity() - buffer.len();
        self.poll_read_buf(cx, &mut buffer.limit(spare))
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_buf(cx, buf).map_ok(drop)
    }

    fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        self.yielded = false;
        if !self.stream.is_readable() {
            if self.reads == MAX_READS {
                self.reads = 0;
                self.yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.reads += 1;
        }
        let outcome = self.stream.poll_read_buf(cx, buf);
        if outcome.is_pending() {
            self.reads = 0;
        }
        outcome.map_err(transport_error)
    }

    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, data).map_err(transport_error)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx).map_err(transport_error)
    }

    pub(super) fn wants_flush(&self) -> bool {
        self.stream.wants_flush()
    }

    /// Ready when a read would return bytes, the end of the stream or an error.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_readable(cx)
    }

    /// Ready when a write would take bytes or fail.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_writable(cx)
    }

    pub(super) fn is_readable(&self) -> bool {
        self.stream.is_readable()
    }

    pub(super) fn yielded(&self) -> bool {
        self.yielded || self.stream.yielded()
    }

    /// Sends close_notify after all bytes that were written.
    pub(super) fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(self.stream.poll_close_notify(cx));
        Poll::Ready(outcome.map_err(transport_error))
    }
}

/// Returns the error of the connection above: that of TCP, or a reset.
fn transport_error(error: TlsError) -> io::Error {
    match error {
        TlsError::Io(error) => error,
        _ => io::ErrorKind::ConnectionReset.into(),
    }
}

impl AsyncRead for LazyTcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.poll_receive_into(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LazyTcpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use eryx_testkit::sealer::Sealer;
    use eryx_testkit::{CertificateAuthority, Leaf, ServerTls};
    use eryx_tls::{ClientSettings, Connector, TrustStore};
    use rustls::ServerConnection;

    use crate::poll::noop_waker::noop_waker;

    use super::*;

    /// Starts a TLS server that sends records of 16 KiB with one byte of plaintext each, and
    /// returns a stream to it, and the number of bytes sent.
    async fn flooded() -> (ProxyTls, Arc<AtomicUsize>) {
        let authority = CertificateAuthority::new().expect("an authority");
        let identity = authority.issue(&Leaf::server(["localhost"]));
        let tls = ServerTls::new(&identity.expect("an identity")).build();
        let mut tls = rustls::ServerConfig::clone(&tls.expect("a configuration"));
        tls.enable_secret_extraction = true;
        tls.send_tls13_tickets = 0;
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("bound");
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a client");
            let mut server = ServerConnection::new(Arc::new(tls)).expect("a connection");
            while server.is_handshaking() {
                server.complete_io(&mut socket).expect("a handshake");
            }
            let mut sealer = Sealer::new(server).expect("keys");
            while socket.write_all(&sealer.padded(b"x", 16_000)).is_ok() {
                counted.fetch_add(16_000, Ordering::Relaxed);
            }
            let _ = socket.read(&mut [0]);
        });
        let trust = TrustStore::empty().with_root_cert(authority.pem().as_bytes());
        let connector = Connector::new(trust.expect("a root"), false);
        let stream = LazyTcpStream::connect(address).expect("begun");
        let handshake = connector.upgrade(&ClientSettings::for_name("localhost"), stream);
        let stream = handshake.expect("settings").await.expect("a handshake");
        (ProxyTls::new(stream), sent)
    }

    #[tokio::test]
    async fn a_flood_inside_tls_to_a_proxy_yields() {
        let (mut tls, sent) = flooded().await;
        // The kernel has more than the limit, so that no read has to wait.
        while sent.load(Ordering::Relaxed) < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut cx = Context::from_waker(noop_waker());
        for _ in 0..2 {
            let mut received = 0;
            loop {
                let mut buffer = Vec::with_capacity(1);
                match tls.poll_receive(&mut cx, &mut buffer) {
                    Poll::Ready(outcome) => received += outcome.expect("a byte"),
                    Poll::Pending => break,
                }
            }
            assert!(tls.yielded());
            // A read may decrypt several records; each of them is 16 KiB.
            let most = MAX_READS as usize * eryx_tls::POLL_LIMIT.div_ceil(16_000);
            assert!((1..=most).contains(&received), "{received}");
        }
    }
}
