use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use bytes::BufMut;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls_pki_types::ServerName;

use crate::buffer::Buffer;
use crate::configs::HeldConfig;
use crate::error::too_large;
use crate::outbox::{Refusal, put};
use crate::resumption::ConnectionSessions;
use crate::{Info, TlsError};

/// Bytes held that have come from a peer and have not been read: ciphertext and the plaintext made of it
/// together. The longest handshake message (64 KiB) and the records it comes in fit.
pub const INCOMING_LIMIT: usize = 96 * 1024;

/// Bytes of ciphertext held for a peer beyond which no more plaintext is taken.
///
/// What is held exceeds this by the framing of the last write and by what the protocol itself has to say
/// (alerts, a client's certificate chain of at most [`CHAIN_SIZE`](crate::limits::CHAIN_SIZE)).
pub const OUTGOING_LIMIT: usize = 64 * 1024;

/// Where the sum of the above ends. Reaching it is an error of the protocol, never an allocation.
const OUTGOING_CEILING: usize = OUTGOING_LIMIT + 64 * 1024;

/// TLS 1.3 session tickets that a peer may send on one connection. Servers send one or two after the handshake, some a
/// few more when keys change; each costs a key derivation and a copy of the peer's chain.
pub const TICKET_LIMIT: u32 = 64;

/// How much ciphertext rustls is shown at a time, beyond an unfinished message: the longest record (RFC 8446, 5.2). It
/// handles all the tickets it sees in one go, so this bounds how far they exceed [`TICKET_LIMIT`].
const SHOWN: usize = RECORD + 256 + 5;

/// Plaintext in one record (RFC 8446, 5.1).
const RECORD: usize = 16 * 1024;
/// Header, explicit nonce, content type and tag of any cipher in use, rounded up.
const FRAMING: usize = 64;

/// The TLS client itself, without a transport: ciphertext in, ciphertext out, all of it in bounded buffers.
///
/// Records are decrypted one at a time and only when they are wanted. That keeps whatever follows the
/// peer's close_notify untouched, and backpressure where it belongs: in the transport.
pub(crate) struct Engine {
    conn: UnbufferedClientConnection,
    incoming: Buffer,
    outgoing: Buffer,
    /// Plaintext for which the reader had no room, or that had to make way for a write.
    plain: Buffer,
    /// Length of the decrypted record that waits inside rustls.
    waiting: usize,
    /// How much to ask the transport for at once. Grows with a transport that fills it with plaintext, so that idle
    /// connections stay small.
    read_size: usize,
    /// How much of `incoming` rustls is shown. It may not be shown less than before of what it has not consumed.
    shown: usize,
    /// The TLS 1.3 tickets that were counted.
    tickets: u32,
    /// Bytes consumed since plaintext, or a session to resume, was last among them: a session that comes is no larger.
    unfiled: usize,
    /// Where sessions to resume wait to be filed under their size.
    sessions: Option<Arc<ConnectionSessions>>,
    /// What the configuration counts against, for as long as it is in use.
    _settings: Arc<HeldConfig>,
    established: bool,
    sent_close: bool,
    peer_closed: bool,
    eof: bool,
    failure: Option<TlsError>,
}

/// What to do when the connection can send.
enum Wish<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

/// How one turn of the state machine ended.
enum Turn {
    /// Go on: there may be more to do.
    Again,
    /// A decrypted record of this length waits.
    Plaintext(usize),
    /// Nothing more without ciphertext from the peer.
    Starved,
    /// The wish was granted.
    Done,
}

impl Engine {
    /// Starts a handshake: the first flight is in the outgoing buffer at once.
    pub(crate) fn new(
        settings: Arc<HeldConfig>,
        sessions: Option<Arc<ConnectionSessions>>,
        name: ServerName<'static>,
    ) -> Result<Self, TlsError> {
        let config = Arc::new(settings.client_config(sessions.clone()));
        let conn = UnbufferedClientConnection::new(config, name).map_err(TlsError::from_rustls)?;
        let mut engine = Self {
            conn,
            incoming: Buffer::new(INCOMING_LIMIT),
            outgoing: Buffer::new(OUTGOING_CEILING),
            plain: Buffer::new(INCOMING_LIMIT),
            waiting: 0,
            read_size: 4 * 1024,
            shown: SHOWN,
            tickets: 0,
            unfiled: 0,
            sessions,
            _settings: settings,
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

    /// Works through buffered ciphertext until plaintext waits or more is needed.
    pub(crate) fn advance(&mut self) {
        while self.failure.is_none() && self.waiting == 0 {
            match self.turn(&Wish::Nothing) {
                Ok(Turn::Again) => {}
                Ok(Turn::Plaintext(len)) => self.waiting = len,
                Ok(Turn::Starved | Turn::Done) => return,
                Err(error) => self.fail(error),
            }
        }
    }

    /// Whether the handshake is complete.
    pub(crate) fn is_established(&self) -> bool {
        self.established
    }

    /// What the connection failed with for good.
    pub(crate) fn failure(&self) -> Option<&TlsError> {
        self.failure.as_ref()
    }

    /// Gives the connection up. The first reason stays.
    pub(crate) fn fail(&mut self, error: TlsError) {
        if self.failure.is_some() {
            return;
        }
        self.failure = Some(error);
        // The alert that tells the peer why. Each turn takes one queued chunk before it looks at anything else.
        while self.conn.wants_write() {
            if !matches!(self.turn(&Wish::Nothing), Ok(Turn::Again)) {
                break;
            }
        }
    }

    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether the transport has ended.
    pub(crate) fn is_eof(&self) -> bool {
        self.eof
    }

    /// Notes that the transport has ended.
    pub(crate) fn set_eof(&mut self) {
        self.eof = true;
    }

    /// Whether a read would return something, be it the end or an error.
    pub(crate) fn is_readable(&self) -> bool {
        self.pending() > 0 || self.peer_closed || self.eof || self.failure.is_some()
    }

    /// Plaintext that can be read without more ciphertext. Zero means there is none, after
    /// [`advance`](Self::advance), which every operation here ends with.
    pub(crate) fn pending(&self) -> usize {
        self.plain.len() + self.waiting
    }

    /// Room for at least one byte of ciphertext, to be followed by [`fill`](Self::fill).
    ///
    /// Only for when no plaintext is pending; then no room means that a handshake message does not fit.
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
        if count >= self.read_size && self.waiting > 0 {
            self.read_size = (self.read_size * 2).min(64 * 1024);
        }
    }

    /// Copies ciphertext in; says how much of it there was room for.
    pub(crate) fn feed(&mut self, ciphertext: &[u8]) -> usize {
        let room = INCOMING_LIMIT.saturating_sub(self.incoming.len() + self.pending());
        let taken = self
            .incoming
            .append(&ciphertext[..ciphertext.len().min(room)]);
        self.advance();
        if taken == 0 && !ciphertext.is_empty() && self.pending() == 0 && !self.peer_closed {
            self.fail(too_large());
        }
        taken
    }

    /// Ciphertext for the peer, to be followed by [`sent`](Self::sent).
    pub(crate) fn outgoing(&self) -> &[u8] {
        self.outgoing.filled()
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.outgoing.consume(count);
    }

    /// Reads into `dst` what there is. `Pending` asks for more ciphertext; `Ok(0)` is the peer's
    /// close_notify, provided that `dst` has room.
    pub(crate) fn read(&mut self, dst: &mut impl BufMut) -> Poll<Result<usize, TlsError>> {
        let before = dst.remaining_mut();
        if before == 0 {
            return Poll::Ready(Ok(0));
        }
        while dst.has_remaining_mut() {
            if !self.plain.is_empty() {
                let held = self.plain.filled();
                let count = held.len().min(dst.remaining_mut());
                dst.put_slice(&held[..count]);
                self.plain.consume(count);
            } else if self.waiting > 0 {
                self.take_record(dst);
            } else {
                break;
            }
            if self.plain.is_empty() {
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

    /// Encrypts as much of `data` as the outgoing buffer has room for. `Pending`: it has none.
    pub(crate) fn write(&mut self, data: &[u8]) -> Poll<Result<usize, TlsError>> {
        if self.sent_close && self.failure.is_none() {
            let error = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            return Poll::Ready(Err(error.into()));
        }
        let room = OUTGOING_LIMIT.saturating_sub(self.outgoing.len());
        let data = &data[..data.len().min(room)];
        if data.is_empty() && room == 0 {
            return Poll::Pending;
        }
        if data.is_empty() {
            return Poll::Ready(self.failure.clone().map_or(Ok(0), Err));
        }
        Poll::Ready(self.grant(&Wish::Encrypt(data)).map(|()| data.len()))
    }

    /// Puts close_notify behind what was written. Doing so again changes nothing.
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
        self.grant(&Wish::CloseNotify)?;
        self.sent_close = true;
        Ok(())
    }

    /// Whether the peer has closed as well, once this side has.
    pub(crate) fn ended(&self) -> Poll<Result<(), TlsError>> {
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

    /// What the handshake agreed on; `None` before it is complete.
    pub(crate) fn info(&self) -> Option<Info> {
        if !self.established {
            return None;
        }
        Info::of(&self.conn)
    }

    /// Ciphertext, or whatever it is, behind the peer's close_notify.
    pub(crate) fn remainder(&self) -> &[u8] {
        if self.peer_closed {
            self.incoming.filled()
        } else {
            &[]
        }
    }

    /// Brings the connection to where it can send, and sends.
    fn grant(&mut self, wish: &Wish<'_>) -> Result<(), TlsError> {
        loop {
            if let Some(error) = &self.failure {
                return Err(error.clone());
            }
            if self.waiting > 0 {
                self.set_aside();
            }
            match self.turn(wish) {
                Ok(Turn::Again) => {}
                // The connection sends nothing while a record waits to be read.
                Ok(Turn::Plaintext(len)) => self.waiting = len,
                Ok(Turn::Done) => {
                    return Ok(());
                }
                Ok(Turn::Starved) => {
                    return Err(TlsError::protocol(
                        "uninitialized",
                        "the handshake is not complete, nothing can be sent yet",
                    ));
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Moves the waiting record out of rustls. There is room: the record is smaller than the ciphertext it
    /// was in, and ciphertext and plaintext are held to the limit together.
    fn set_aside(&mut self) {
        let mut plain = std::mem::replace(&mut self.plain, Buffer::new(0));
        let len = self.waiting;
        let mut space = plain.space(len);
        let room = space.len();
        self.take_record(&mut space);
        // `take_record` puts what did not fit into the (empty) stand-in, whose limit is zero.
        plain.fill(len.min(room));
        self.plain = plain;
    }

    /// Hands the waiting record to `dst`, and keeps what does not fit.
    fn take_record(&mut self, dst: &mut impl BufMut) {
        let shown = self.incoming.len().min(self.shown);
        let UnbufferedStatus { discard, state, .. } = self
            .conn
            .process_tls_records(&mut self.incoming.filled_mut()[..shown]);
        if let Ok(ConnectionState::ReadTraffic(mut traffic)) = state
            && let Some(Ok(record)) = traffic.next_record()
        {
            let now = record.payload.len().min(dst.remaining_mut());
            let (now, later) = record.payload.split_at(now);
            dst.put_slice(now);
            self.plain.append(later);
        }
        self.waiting = 0;
        self.consume(discard);
        self.unfiled = 0;
    }

    /// One step of the connection's state machine.
    fn turn(&mut self, wish: &Wish<'_>) -> Result<Turn, TlsError> {
        let shaking_hands = !self.established;
        let shown = self.incoming.len().min(self.shown);
        let hidden = self.incoming.len() - shown;
        let UnbufferedStatus { discard, state, .. } = self
            .conn
            .process_tls_records(&mut self.incoming.filled_mut()[..shown]);
        let outcome = match state {
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => {
                put(&mut self.outgoing, FRAMING, |space| {
                    match chunk.encode(space) {
                        Ok(len) => Ok(len),
                        Err(EncodeError::InsufficientSize(size)) => Err(Refusal::TooSmall(size)),
                        Err(EncodeError::AlreadyEncoded) => Ok(0),
                    }
                })
                .map(|()| Turn::Again)
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => {
                // What was encoded is in the outgoing buffer, whose owner sends it.
                transmit.done();
                Ok(Turn::Again)
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                self.established = true;
                match traffic.peek_len() {
                    Some(len) => Ok(Turn::Plaintext(len.get())),
                    None => {
                        // An empty record says nothing; take it, or it blocks the way.
                        let _ = traffic.next_record();
                        Ok(Turn::Again)
                    }
                }
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                self.established = true;
                match wish {
                    Wish::Nothing => Ok(Turn::Starved),
                    Wish::Encrypt(data) => {
                        let want = data.len() + (data.len() / RECORD + 2) * FRAMING;
                        put(&mut self.outgoing, want, |space| {
                            traffic.encrypt(data, space).map_err(Refusal::from)
                        })
                        .map(|()| Turn::Done)
                    }
                    Wish::CloseNotify => put(&mut self.outgoing, 2 * FRAMING, |space| {
                        traffic.queue_close_notify(space).map_err(Refusal::from)
                    })
                    .map(|()| Turn::Done),
                }
            }
            Ok(ConnectionState::PeerClosed) => {
                self.peer_closed = true;
                Ok(Turn::Again)
            }
            Ok(ConnectionState::Closed) => Ok(Turn::Starved),
            Ok(_) => Ok(Turn::Starved),
            Err(error) => Err(TlsError::from_rustls(error)),
        };
        self.consume(discard);
        self.count_tickets(shaking_hands)?;
        match outcome {
            // There is more to be seen.
            Ok(Turn::Starved) if hidden > 0 => {
                self.shown += SHOWN;
                Ok(Turn::Again)
            }
            outcome => outcome,
        }
    }

    /// Drops what rustls is done with. What it keeps of what it was shown, it expects to see again.
    fn consume(&mut self, count: usize) {
        self.incoming.consume(count);
        self.shown = self.shown.saturating_sub(count).max(SHOWN);
        self.unfiled += count;
    }

    /// Files the sessions that have come, and fails for a peer that sends very many.
    fn count_tickets(&mut self, shaking_hands: bool) -> Result<(), TlsError> {
        let tickets = self.conn.tls13_tickets_received();
        // In TLS 1.2 there is one, which comes with the handshake.
        let has_come = tickets > self.tickets || shaking_hands;
        if let Some(sessions) = self.sessions.as_ref().filter(|_| has_come) {
            let chain = self.conn.peer_certificates().unwrap_or_default();
            if sessions.file(self.unfiled, chain) {
                self.unfiled = 0;
            }
        }
        self.tickets = tickets;
        if tickets > TICKET_LIMIT {
            return Err(TlsError::protocol(
                "unexpected message",
                &format!("the peer sent more than {TICKET_LIMIT} session tickets"),
            ));
        }
        Ok(())
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
