use std::task::Poll;

use bytes::BufMut;

use crate::engine::Engine;
use crate::{Info, TlsError};

/// A TLS client over a transport that somebody else carries: ciphertext in, ciphertext out. Nothing blocks and
/// nothing is woken: [`Poll::Pending`] says that bytes have to move first. [`take`](Self::take) what there is
/// for the peer, then [`feed`](Self::feed) what came from it.
///
/// Both directions are bounded, by [`INCOMING_LIMIT`](crate::INCOMING_LIMIT) and
/// [`OUTGOING_LIMIT`](crate::OUTGOING_LIMIT); neither the peer nor the caller can make a session grow.
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

    /// Hands over ciphertext from the peer. Returns how many bytes were taken: fewer than given when plaintext
    /// has to be read first.
    ///
    /// # Errors
    ///
    /// What the session failed with earlier; what these bytes lead to is reported by the operation that needs
    /// them. [`TlsError::Refused`] after [`feed_eof`](Self::feed_eof).
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

    /// Says that the transport has ended: no more ciphertext will come.
    pub fn feed_eof(&mut self) {
        self.engine.set_eof();
    }

    /// Takes up to `max` bytes of ciphertext for the peer. Empty when there is nothing to send now.
    pub fn take(&mut self, max: usize) -> Vec<u8> {
        let outgoing = self.engine.outgoing();
        let taken = outgoing[..outgoing.len().min(max)].to_vec();
        self.engine.sent(taken.len());
        taken
    }

    /// Drives the handshake; pending until it is complete.
    ///
    /// # Errors
    ///
    /// As for [`Handshake`](crate::Handshake), less the transport's.
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

    /// Reads up to `max` bytes of plaintext. Empty is the peer's close_notify (or a `max` of zero).
    ///
    /// # Errors
    ///
    /// Those of [`handshake`](Self::handshake); [`TlsError::UnexpectedEof`] when the transport ended without
    /// close_notify. Plaintext received before is returned first, and an error repeats.
    pub fn read(&mut self, max: usize) -> Poll<Result<Vec<u8>, TlsError>> {
        let mut plaintext = Vec::with_capacity(max.min(self.engine.pending()));
        let outcome = self.engine.read(&mut (&mut plaintext).limit(max));
        outcome.map_ok(|_| plaintext)
    }

    /// Encrypts. Returns how many bytes of `plaintext` were taken; pending while the handshake is not complete
    /// or the outgoing buffer is full.
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

    /// How many bytes of plaintext can be read without more ciphertext, at least: zero only if there are none.
    pub fn pending(&self) -> usize {
        self.engine.pending()
    }

    /// Sends close_notify; pending until the peer's has arrived too.
    ///
    /// # Errors
    ///
    /// [`TlsError::Protocol`] when the handshake is not complete, or when the peer sends data instead of its
    /// close_notify, which can still be read; those of [`read`](Self::read).
    pub fn close(&mut self) -> Poll<Result<(), TlsError>> {
        if let Err(error) = self.engine.close_notify() {
            return Poll::Ready(Err(error));
        }
        self.engine.ended()
    }

    /// What the handshake agreed on; `None` before it is complete.
    pub fn info(&self) -> Option<Info> {
        self.engine.info()
    }
}
