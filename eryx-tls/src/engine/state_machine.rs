//! The steps of rustls's unbuffered state machine.

use std::mem;

use bytes::BufMut;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

use super::{Engine, TICKET_LIMIT};
use crate::buffer::Buffer;
use crate::encode::{EncodeError, encode_into};
use crate::error::TlsError;

/// How much more ciphertext rustls may see at a time, beyond an unfinished message: the longest
/// record (RFC 8446, 5.2).
///
/// rustls processes all tickets that it sees in one step. This bounds the tickets beyond
/// [`TICKET_LIMIT`] that it processes.
pub(super) const VISIBLE_STEP: usize = RECORD + 256 + 5;

/// The most plaintext in one record (RFC 8446, 5.1), in bytes.
const RECORD: usize = 16 * 1024;

/// The most bytes that a record adds to its plaintext, with any cipher in use: header, explicit
/// nonce, content type and tag, rounded up.
const FRAMING: usize = 64;

/// What to send once the state machine reaches a writable state.
pub(super) enum SendRequest<'a> {
    Nothing,
    Plaintext(&'a [u8]),
    CloseNotify,
}

/// The outcome of one step of the state machine.
pub(super) enum Step {
    /// Another step may do more.
    Continue,
    /// A decrypted record of this length is pending.
    Plaintext(usize),
    /// More ciphertext from the peer is needed.
    NeedsInput,
    /// The request was encoded into the outgoing buffer.
    Sent,
}

impl Engine {
    /// Steps the state machine until it is writable, then encodes the request.
    pub(super) fn send(&mut self, request: &SendRequest<'_>) -> Result<(), TlsError> {
        loop {
            if let Some(error) = &self.failure {
                return Err(error.clone());
            }
            if self.pending_record > 0 {
                self.buffer_record();
            }
            match self.step(request) {
                Ok(Step::Continue) => {}
                // rustls sends nothing while a record is pending.
                Ok(Step::Plaintext(len)) => self.pending_record = len,
                Ok(Step::Sent) => return Ok(()),
                Ok(Step::NeedsInput) => {
                    return Err(TlsError::protocol(
                        "uninitialized",
                        "the handshake is not complete, nothing can be sent yet",
                    ));
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Moves the pending record out of rustls into the plaintext buffer.
    ///
    /// The record fits: it is smaller than its ciphertext, and one limit holds for ciphertext and
    /// plaintext together.
    fn buffer_record(&mut self) {
        let mut plaintext = mem::replace(&mut self.plaintext, Buffer::new(0));
        let len = self.pending_record;
        let mut space = plaintext.space(len);
        let available = space.len();
        // An excess would go into the empty stand-in, whose limit is zero.
        self.take_record(&mut space);
        plaintext.fill(len.min(available));
        self.plaintext = plaintext;
    }

    /// Copies the pending record to `dst`, and buffers the part that does not fit.
    pub(super) fn take_record(&mut self, dst: &mut impl BufMut) {
        let visible = self.incoming.len().min(self.visible);
        let UnbufferedStatus { discard, state, .. } = self
            .conn
            .process_tls_records(&mut self.incoming.filled_mut()[..visible]);
        if let Ok(ConnectionState::ReadTraffic(mut traffic)) = state
            && let Some(Ok(record)) = traffic.next_record()
        {
            let fitting = record.payload.len().min(dst.remaining_mut());
            let (now, later) = record.payload.split_at(fitting);
            dst.put_slice(now);
            self.plaintext.append(later);
        }
        self.pending_record = 0;
        self.consume(discard);
        self.session_size_bound = 0;
    }

    /// Performs one step of the state machine.
    pub(super) fn step(&mut self, request: &SendRequest<'_>) -> Result<Step, TlsError> {
        let handshaking = !self.established;
        let visible = self.incoming.len().min(self.visible);
        let hidden = self.incoming.len() - visible;
        let UnbufferedStatus { discard, state, .. } = self
            .conn
            .process_tls_records(&mut self.incoming.filled_mut()[..visible]);
        let outcome = match state {
            Ok(ConnectionState::EncodeTlsData(mut chunk)) => {
                encode_into(&mut self.outgoing, FRAMING, |space| {
                    EncodeError::unless_encoded(chunk.encode(space))
                })
                .map(|()| Step::Continue)
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => {
                // The encoded data is in the outgoing buffer, and the owner of the engine sends it.
                transmit.done();
                Ok(Step::Continue)
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                self.established = true;
                match traffic.peek_len() {
                    Some(len) => Ok(Step::Plaintext(len.get())),
                    None => {
                        // An empty record has no plaintext, but blocks the next one until it is
                        // taken.
                        let _ = traffic.next_record();
                        Ok(Step::Continue)
                    }
                }
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                self.established = true;
                match request {
                    SendRequest::Nothing => Ok(Step::NeedsInput),
                    SendRequest::Plaintext(data) => {
                        let size = data.len() + (data.len() / RECORD + 2) * FRAMING;
                        encode_into(&mut self.outgoing, size, |space| {
                            traffic.encrypt(data, space).map_err(EncodeError::from)
                        })
                        .map(|()| Step::Sent)
                    }
                    SendRequest::CloseNotify => {
                        encode_into(&mut self.outgoing, 2 * FRAMING, |space| {
                            traffic.queue_close_notify(space).map_err(EncodeError::from)
                        })
                        .map(|()| Step::Sent)
                    }
                }
            }
            Ok(ConnectionState::PeerClosed) => {
                self.peer_closed = true;
                Ok(Step::Continue)
            }
            Ok(_) => Ok(Step::NeedsInput),
            Err(error) => Err(TlsError::from_rustls(error)),
        };
        self.consume(discard);
        self.count_tickets(handshaking)?;
        match outcome {
            Ok(Step::NeedsInput) if hidden > 0 => {
                self.visible += VISIBLE_STEP;
                Ok(Step::Continue)
            }
            outcome => outcome,
        }
    }

    /// Removes the bytes that rustls has processed. rustls must see the remaining visible bytes
    /// again.
    fn consume(&mut self, count: usize) {
        self.incoming.consume(count);
        self.visible = self.visible.saturating_sub(count).max(VISIBLE_STEP);
        self.session_size_bound += count;
    }

    /// Stores the sessions that were received. Fails when the peer has sent more tickets than
    /// [`TICKET_LIMIT`].
    fn count_tickets(&mut self, handshaking: bool) -> Result<(), TlsError> {
        let tickets = self.conn.tls13_tickets_received();
        // TLS 1.2 has one session, which is complete with the handshake.
        let may_have_session = tickets > self.tickets || handshaking;
        if let Some(sessions) = self.sessions.as_ref().filter(|_| may_have_session) {
            let chain = self.conn.peer_certificates().unwrap_or_default();
            if sessions.store_received(self.session_size_bound, chain) {
                self.session_size_bound = 0;
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
