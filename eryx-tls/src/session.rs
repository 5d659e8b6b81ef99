//! A TLS session without a transport, for TLS inside TLS.

use std::task::Poll;

use bytes::BufMut;

use crate::engine::Engine;
use crate::error::TlsError;
use crate::info::Info;

/// A TLS client without a transport: ciphertext in, ciphertext out.
///
/// The caller transfers the ciphertext. No method blocks and none wakes a task: [`Poll::Pending`]
/// means that ciphertext must be transferred first. [`take`](Self::take) the bytes for the peer and
/// send them, then [`feed`](Self::feed) the bytes received from it.
///
/// | here | rustls | CPython (`ssl.MemoryBIO`) |
/// |---|---|---|
/// | [`feed`](Self::feed) | `read_tls`, `process_new_packets` | `incoming.write` |
/// | [`feed_eof`](Self::feed_eof) | `read_tls` of 0 bytes | `incoming.write_eof` |
/// | [`take`](Self::take) | `write_tls` | `outgoing.read` |
/// | [`handshake`](Self::handshake) | `complete_io` | `SSLObject.do_handshake` |
/// | [`read`](Self::read) | `reader().read` | `SSLObject.read` |
/// | [`write`](Self::write) | `writer().write` | `SSLObject.write` |
/// | [`close`](Self::close) | `send_close_notify` | `SSLObject.unwrap` |
///
/// Both directions are bounded, by [`INCOMING_LIMIT`](crate::INCOMING_LIMIT) and
/// [`OUTGOING_LIMIT`](crate::OUTGOING_LIMIT): neither the peer nor the caller can make a session
/// grow.
///
/// ```
/// use eryx_tls::{ClientSettings, Connector, TrustStore};
///
/// let connector = Connector::new(TrustStore::webpki(), false);
/// let mut session = connector.session(&ClientSettings::for_name("example.com"))?;
/// assert!(session.handshake().is_pending());
/// let client_hello = session.take(usize::MAX);
/// assert_eq!(client_hello[0], 22); // a handshake record
/// # Ok::<(), eryx_tls::TlsError>(())
/// ```
#[derive(Debug)]
pub struct Session {
    engine: Engine,
}

impl Session {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Passes ciphertext from the peer to the session. Returns the number of bytes taken: fewer
    /// than given when plaintext must be read first.
    ///
    /// # Errors
    ///
    /// An earlier error of the session. Errors in these bytes are returned by the operation that
    /// needs them. [`TlsError::Refused`] after [`feed_eof`](Self::feed_eof).
    #[doc(alias = "read_tls")]
    pub fn feed(&mut self, ciphertext: &[u8]) -> Result<usize, TlsError> {
        if let Some(error) = self.engine.failure() {
            return Err(error.clone());
        }
        if self.engine.is_eof() {
            return Err(TlsError::Refused(
                "the transport was said to have ended; nothing can follow".into(),
            ));
        }
        Ok(self.engine.feed(ciphertext))
    }

    /// Marks the end of the transport: no more ciphertext follows.
    pub fn feed_eof(&mut self) {
        self.engine.set_eof();
    }

    /// Takes up to `max` bytes of ciphertext for the peer. Returns an empty vector when there are
    /// none.
    #[doc(alias = "write_tls")]
    pub fn take(&mut self, max: usize) -> Vec<u8> {
        let outgoing = self.engine.outgoing();
        let taken = outgoing[..outgoing.len().min(max)].to_vec();
        self.engine.sent(taken.len());
        taken
    }

    /// Returns whether the handshake is complete; pending until then.
    ///
    /// # Errors
    ///
    /// Those of [`Handshake`](crate::Handshake), except errors of the transport.
    pub fn handshake(&mut self) -> Poll<Result<(), TlsError>> {
        if self.engine.is_established() {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.engine.failure() {
            return Poll::Ready(Err(error.clone()));
        }
        if self.engine.is_eof() || self.engine.peer_closed() {
            return Poll::Ready(Err(TlsError::UnexpectedEof));
        }
        Poll::Pending
    }

    /// Reads up to `max` bytes of plaintext. An empty result is the peer's close_notify, unless
    /// `max` is 0.
    ///
    /// # Errors
    ///
    /// Those of [`handshake`](Self::handshake); [`TlsError::UnexpectedEof`] when the transport
    /// ended without close_notify. Plaintext that was received earlier is returned first, and later
    /// calls return the error again.
    pub fn read(&mut self, max: usize) -> Poll<Result<Vec<u8>, TlsError>> {
        let mut plaintext = Vec::with_capacity(max.min(self.engine.pending()));
        let outcome = self.engine.read(&mut (&mut plaintext).limit(max));
        outcome.map_ok(|_| plaintext)
    }

    /// Encrypts plaintext. Returns the number of bytes taken; pending while the handshake is not
    /// complete or the outgoing buffer is full.
    ///
    /// # Errors
    ///
    /// Those of [`handshake`](Self::handshake); [`TlsError::Io`] with `BrokenPipe` after
    /// [`close`](Self::close).
    pub fn write(&mut self, plaintext: &[u8]) -> Poll<Result<usize, TlsError>> {
        match self.handshake() {
            Poll::Ready(Ok(())) => self.engine.write(plaintext),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Returns the number of plaintext bytes that can be read without more ciphertext. It is a
    /// lower bound, and 0 only if there are none.
    pub fn pending(&self) -> usize {
        self.engine.pending()
    }

    /// Sends close_notify; pending until the peer's close_notify has arrived as well.
    ///
    /// # Errors
    ///
    /// [`TlsError::Protocol`] when the handshake is not complete, or when the peer sends data
    /// (which can still be read) instead of its close_notify; those of [`read`](Self::read).
    pub fn close(&mut self) -> Poll<Result<(), TlsError>> {
        if let Err(error) = self.engine.close_notify() {
            return Poll::Ready(Err(error));
        }
        self.engine.poll_peer_closed()
    }

    /// Returns the result of the handshake; `None` before it is complete.
    pub fn info(&self) -> Option<Info> {
        self.engine.info()
    }
}
