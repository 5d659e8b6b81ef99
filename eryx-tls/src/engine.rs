//! The TLS client without a transport: rustls's unbuffered connection with bounded buffers.

mod state_machine;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use bytes::BufMut;
use rustls::client::UnbufferedClientConnection;
use rustls_pki_types::ServerName;

use self::state_machine::{SendRequest, Step, VISIBLE_STEP};
use crate::buffer::Buffer;
use crate::config_cache::ScopeConfig;
use crate::error::{TlsError, too_large};
use crate::info::Info;
use crate::session_cache::ConnectionSessions;

/// The most bytes from a peer that are buffered unread: ciphertext and plaintext together.
///
/// The longest handshake message (64 KiB) fits, with the records that contain it.
pub const INCOMING_LIMIT: usize = 96 * 1024;

/// The most bytes of ciphertext that are buffered for a peer before writes are refused.
///
/// The last write and the protocol's own messages can exceed the limit: the framing of the write,
/// alerts, and a client's certificate chain of at most
/// [`MAX_CHAIN_SIZE`](crate::limits::MAX_CHAIN_SIZE).
pub const OUTGOING_LIMIT: usize = 64 * 1024;

/// The hard limit of the outgoing buffer, with the excess described above. A message beyond it is a
/// protocol error, never an allocation.
const OUTGOING_CEILING: usize = OUTGOING_LIMIT + 64 * 1024;

/// The most TLS 1.3 session tickets that a peer may send on one connection.
///
/// Servers send one or two after the handshake, and some a few more when keys change. Each costs a
/// key derivation and a copy of the peer's chain.
pub const TICKET_LIMIT: u32 = 64;

/// The first and the largest read size. Idle connections stay small.
const MIN_READ_SIZE: usize = 4 * 1024;
const MAX_READ_SIZE: usize = 64 * 1024;

/// The TLS client without a transport: ciphertext in, ciphertext out, in bounded buffers.
///
/// Records are decrypted one at a time, and only when plaintext is wanted. The bytes after the
/// peer's close_notify therefore stay unchanged, and backpressure reaches the transport.
pub(crate) struct Engine {
    conn: UnbufferedClientConnection,
    incoming: Buffer,
    outgoing: Buffer,
    /// Plaintext that the reader had no space for, or that was moved out of rustls for a write.
    plaintext: Buffer,
    /// The length of the decrypted record that is pending inside rustls; 0 without one.
    pending_record: usize,
    /// The size of the next read from the transport. It grows while reads are full of plaintext.
    read_size: usize,
    /// How much of `incoming` rustls may see. It must see unconsumed bytes again in each step.
    visible: usize,
    /// The number of TLS 1.3 tickets that were received.
    tickets: u32,
    /// An upper bound for the size of the next session: the bytes consumed since the last plaintext
    /// or session.
    session_size_bound: usize,
    /// The sessions of this connection, which wait to be stored with their size.
    sessions: Option<Arc<ConnectionSessions>>,
    /// Counts against its scope while the connection lives.
    _config: Arc<ScopeConfig>,
    established: bool,
    sent_close: bool,
    peer_closed: bool,
    eof: bool,
    failure: Option<TlsError>,
}

impl Engine {
    /// Starts a handshake, and puts its first flight into the outgoing buffer.
    pub(crate) fn new(
        config: Arc<ScopeConfig>,
        sessions: Option<Arc<ConnectionSessions>>,
        name: ServerName<'static>,
    ) -> Result<Self, TlsError> {
        let client_config = Arc::new(config.client_config(sessions.clone()));
        let conn =
            UnbufferedClientConnection::new(client_config, name).map_err(TlsError::from_rustls)?;
        let mut engine = Self {
            conn,
            incoming: Buffer::new(INCOMING_LIMIT),
            outgoing: Buffer::new(OUTGOING_CEILING),
            plaintext: Buffer::new(INCOMING_LIMIT),
            pending_record: 0,
            read_size: MIN_READ_SIZE,
            visible: VISIBLE_STEP,
            tickets: 0,
            session_size_bound: 0,
            sessions,
            _config: config,
            established: false,
            sent_close: false,
            peer_closed: false,
            eof: false,
            failure: None,
        };
        engine.advance();
        match engine.failure.take() {
            Some(error) => Err(error),
            None => Ok(engine),
        }
    }

    /// Processes buffered ciphertext until plaintext is pending or more ciphertext is needed.
    pub(crate) fn advance(&mut self) {
        while self.failure.is_none() && self.pending_record == 0 {
            match self.step(&SendRequest::Nothing) {
                Ok(Step::Continue) => {}
                Ok(Step::Plaintext(len)) => self.pending_record = len,
                Ok(Step::NeedsInput | Step::Sent) => return,
                Err(error) => self.fail(error),
            }
        }
    }

    /// Returns whether the handshake is complete.
    pub(crate) fn is_established(&self) -> bool {
        self.established
    }

    /// Returns the error that ended the connection.
    pub(crate) fn failure(&self) -> Option<&TlsError> {
        self.failure.as_ref()
    }

    /// Ends the connection with an error. The first error stays.
    pub(crate) fn fail(&mut self, error: TlsError) {
        if self.failure.is_some() {
            return;
        }
        self.failure = Some(error);
        // Encodes the alert for the peer. Each step encodes one queued chunk before anything else.
        while self.conn.wants_write() {
            if !matches!(self.step(&SendRequest::Nothing), Ok(Step::Continue)) {
                break;
            }
        }
    }

    /// Returns whether the peer's close_notify was processed.
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Returns whether the transport has ended.
    pub(crate) fn is_eof(&self) -> bool {
        self.eof
    }

    /// Records that the transport has ended.
    pub(crate) fn set_eof(&mut self) {
        self.eof = true;
    }

    /// Returns whether a read would return plaintext, the end or an error.
    pub(crate) fn is_readable(&self) -> bool {
        self.pending() > 0 || self.peer_closed || self.eof || self.failure.is_some()
    }

    /// Returns the number of plaintext bytes that can be read without more ciphertext.
    ///
    /// The result is exact about zero because every operation ends with [`advance`](Self::advance).
    pub(crate) fn pending(&self) -> usize {
        self.plaintext.len() + self.pending_record
    }

    /// Returns space for at least one byte of ciphertext, to be followed by [`fill`](Self::fill).
    ///
    /// Only for use while no plaintext is pending. Then a full buffer means that a handshake
    /// message is too large.
    pub(crate) fn space(&mut self) -> Result<&mut [u8], TlsError> {
        if self.incoming.len() >= INCOMING_LIMIT {
            self.fail(too_large());
            return Err(too_large());
        }
        Ok(self.incoming.space(self.read_size))
    }

    /// Takes the first `count` bytes of the space as ciphertext.
    pub(crate) fn fill(&mut self, count: usize) {
        self.incoming.fill(count);
        self.advance();
        if count >= self.read_size && self.pending_record > 0 {
            self.read_size = (self.read_size * 2).min(MAX_READ_SIZE);
        }
    }

    /// Copies ciphertext in. Returns the number of bytes that fitted.
    pub(crate) fn feed(&mut self, ciphertext: &[u8]) -> usize {
        let space = INCOMING_LIMIT.saturating_sub(self.incoming.len() + self.pending());
        let taken = self
            .incoming
            .append(&ciphertext[..ciphertext.len().min(space)]);
        self.advance();
        if taken == 0 && !ciphertext.is_empty() && self.pending() == 0 && !self.peer_closed {
            self.fail(too_large());
        }
        taken
    }

    /// Returns the ciphertext for the peer, to be followed by [`sent`](Self::sent).
    pub(crate) fn outgoing(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// Removes `count` bytes of sent ciphertext.
    pub(crate) fn sent(&mut self, count: usize) {
        self.outgoing.consume(count);
    }

    /// Reads plaintext into `dst`. `Pending` means that more ciphertext is needed; `Ok(0)` is the
    /// peer's close_notify, unless `dst` is full.
    pub(crate) fn read(&mut self, dst: &mut impl BufMut) -> Poll<Result<usize, TlsError>> {
        let before = dst.remaining_mut();
        if before == 0 {
            return Poll::Ready(Ok(0));
        }
        while dst.has_remaining_mut() {
            if !self.plaintext.is_empty() {
                let buffered = self.plaintext.filled();
                let count = buffered.len().min(dst.remaining_mut());
                dst.put_slice(&buffered[..count]);
                self.plaintext.consume(count);
            } else if self.pending_record > 0 {
                self.take_record(dst);
            } else {
                break;
            }
            if self.plaintext.is_empty() {
                self.advance();
            }
        }
        let count = before - dst.remaining_mut();
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        if let Some(error) = &self.failure {
            return Poll::Ready(Err(error.clone()));
        }
        if self.peer_closed {
            return Poll::Ready(Ok(0));
        }
        if self.eof {
            return Poll::Ready(Err(TlsError::UnexpectedEof));
        }
        Poll::Pending
    }

    /// Encrypts as much of `data` as the outgoing buffer has space for. `Pending` means that it is
    /// full.
    pub(crate) fn write(&mut self, data: &[u8]) -> Poll<Result<usize, TlsError>> {
        if self.sent_close && self.failure.is_none() {
            let error = io::Error::from(io::ErrorKind::BrokenPipe);
            return Poll::Ready(Err(error.into()));
        }
        let space = OUTGOING_LIMIT.saturating_sub(self.outgoing.len());
        let data = &data[..data.len().min(space)];
        if data.is_empty() && space == 0 {
            return Poll::Pending;
        }
        if data.is_empty() {
            return Poll::Ready(self.failure.clone().map_or(Ok(0), Err));
        }
        Poll::Ready(
            self.send(&SendRequest::Plaintext(data))
                .map(|()| data.len()),
        )
    }

    /// Puts close_notify after the written data. A second call changes nothing.
    pub(crate) fn close_notify(&mut self) -> Result<(), TlsError> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        if self.sent_close {
            return Ok(());
        }
        if !self.established {
            return Err(TlsError::protocol(
                "shutdown while in init",
                "the handshake is not complete, there is nothing to close yet",
            ));
        }
        self.send(&SendRequest::CloseNotify)?;
        self.sent_close = true;
        Ok(())
    }

    /// Waits for the peer's close_notify, after this side has sent its own.
    pub(crate) fn poll_peer_closed(&self) -> Poll<Result<(), TlsError>> {
        if self.pending() > 0 {
            return Poll::Ready(Err(TlsError::protocol(
                "application data after close notify",
                "the peer went on sending after this side ended TLS",
            )));
        }
        match &self.failure {
            Some(error) => Poll::Ready(Err(error.clone())),
            None if self.peer_closed => Poll::Ready(Ok(())),
            None if self.eof => Poll::Ready(Err(TlsError::UnexpectedEof)),
            None => Poll::Pending,
        }
    }

    /// Returns the result of the handshake; `None` before it is complete.
    pub(crate) fn info(&self) -> Option<Info> {
        if !self.established {
            return None;
        }
        Info::from_connection(&self.conn)
    }

    /// Returns the bytes received after the peer's close_notify, which may be plain text.
    pub(crate) fn remainder(&self) -> &[u8] {
        if self.peer_closed {
            self.incoming.filled()
        } else {
            &[]
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("established", &self.established)
            .field("incoming", &self.incoming.len())
            .field("outgoing", &self.outgoing.len())
            .field("pending", &self.pending())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
