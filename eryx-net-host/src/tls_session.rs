//! A TLS session over a transport of the guest program.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use eryx_tls::{Info, Session};

use crate::audit::activity::CloseReason;
use crate::audit::entry::AuditEntry;
use crate::error::NetError;
use crate::host_memory::Charge;
use crate::http::context::HttpContext;
use crate::http::expected_records::ExpectedRecords;
use crate::http::inspector::Inspector;
use crate::http::target::Peer;
use crate::limits::semaphore::Permit;
use crate::socket_limits::SocketLimits;

/// A TLS session over a transport of the guest program, such as two `ssl.MemoryBIO`s. It counts
/// against the sandbox's limit on sessions and its host memory until it is dropped.
///
/// [`eryx_tls::Session`] explains the operations. None of them waits, except a
/// [`write`](Self::write) to an inspected host, for the value of a secret.
pub struct TlsSession {
    session: Session,
    inspected: Option<Box<Inspected>>,
    _permit: Permit,
    _memory: Charge,
}

/// The inspection of a session.
pub(crate) struct Inspected {
    state: InspectedState,
    records: Arc<ExpectedRecords>,
    entry: Arc<AuditEntry>,
    limits: SocketLimits,
}

enum InspectedState {
    /// Before the handshake is complete: the address of the peer is not known yet.
    New(Arc<HttpContext>, Peer),
    Http(Box<Inspector>),
}

impl TlsSession {
    pub(crate) fn new(
        session: Session,
        inspected: Option<Box<Inspected>>,
        permit: Permit,
        memory: Charge,
    ) -> Self {
        Self {
            session,
            inspected,
            _permit: permit,
            _memory: memory,
        }
    }

    /// Passes ciphertext from the peer to the session, as [`Session::feed`].
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`], as [`Session::feed`].
    pub fn feed(&mut self, ciphertext: &[u8]) -> Result<usize, NetError> {
        let taken = self.session.feed(ciphertext)?;
        if let Some(inspected) = &self.inspected {
            inspected.records.compare(&ciphertext[..taken]);
        }
        Ok(taken)
    }

    /// Marks the end of the transport.
    pub fn feed_eof(&mut self) {
        self.session.feed_eof();
    }

    /// Takes up to `max` bytes of ciphertext for the peer.
    pub fn take(&mut self, max: usize) -> Vec<u8> {
        let Some(inspected) = &mut self.inspected else {
            return self.session.take(max);
        };
        let ciphertext = self.session.take(max);
        let is_established = self.session.info().is_some();
        inspected.records.record(&ciphertext, is_established);
        // There is space for more now.
        let _ = inspected.flush(&mut self.session);
        ciphertext
    }

    /// Returns whether the handshake is complete; pending until then.
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`], as [`Session::handshake`].
    pub fn handshake(&mut self) -> Poll<Result<(), NetError>> {
        self.session.handshake().map_err(NetError::from)
    }

    /// Reads up to `max` bytes of plaintext. An empty result is the peer's close_notify, unless
    /// `max` is 0.
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`], as [`Session::read`]; [`NetError::Denied`] after a request was denied.
    pub fn read(&mut self, max: usize) -> Poll<Result<Vec<u8>, NetError>> {
        let Some(inspected) = &mut self.inspected else {
            return self.session.read(max).map_err(NetError::from);
        };
        if !matches!(self.session.handshake(), Poll::Ready(Ok(()))) {
            return self.session.read(max).map_err(NetError::from);
        }
        let inspector = inspected.inspector();
        loop {
            if let Some(outcome) = inspector.take_for_program(max) {
                return Poll::Ready(outcome);
            }
            match self.session.read(READ) {
                Poll::Ready(Ok(data)) if data.is_empty() => inspector.on_server_eof(),
                // What came before an error is taken first.
                Poll::Ready(Ok(data)) => drop(inspector.response(data)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Encrypts plaintext, and returns how many bytes were taken. On an inspected host, waits for
    /// the values of secrets in requests.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] while the handshake is not complete or the outgoing buffer is full.
    /// [`NetError::Tls`], as [`Session::write`]. [`NetError::Denied`] when a request is denied,
    /// also because the value of a secret does not come within the I/O timeout.
    pub async fn write(&mut self, plaintext: &[u8]) -> Result<usize, NetError> {
        let Some(inspected) = &mut self.inspected else {
            return match self.session.write(plaintext) {
                Poll::Ready(outcome) => Ok(outcome?),
                Poll::Pending => Err(NetError::WouldBlock),
            };
        };
        if self
            .session
            .handshake()
            .map_err(NetError::from)?
            .is_pending()
        {
            return Err(NetError::WouldBlock);
        }
        let session = &mut self.session;
        let timeout = inspected.limits.io_timeout(None);
        let mut taken = 0;
        let mut outcome = timeout
            .run(|cx| inspected.poll_write(cx, session, plaintext, &mut taken))
            .await;
        if outcome == Err(NetError::TimedOut) {
            // The bytes of the head were taken, and no later call would wait for the value.
            outcome = inspected.inspector().deny_waiting();
        }
        if inspected.inspector().has_ended() {
            inspected.records.end();
        }
        if let Err(error @ NetError::Denied(_)) = &outcome {
            inspected.entry.failed(error);
        }
        outcome?;
        if taken == 0 && !plaintext.is_empty() {
            return Err(NetError::WouldBlock);
        }
        Ok(taken)
    }

    /// Returns how many bytes of plaintext can be read without more ciphertext: a lower bound, 0
    /// only if there are none.
    pub fn pending(&self) -> usize {
        let inspected = match self.inspected.as_ref().map(|inspected| &inspected.state) {
            Some(InspectedState::Http(inspector)) => inspector.pending(),
            _ => 0,
        };
        inspected + self.session.pending()
    }

    /// Sends close_notify; pending until the peer's close_notify has arrived as well.
    ///
    /// # Errors
    ///
    /// [`NetError::Tls`], as [`Session::close`].
    pub fn close(&mut self) -> Poll<Result<(), NetError>> {
        if let Some(inspected) = &mut self.inspected {
            match inspected.flush(&mut self.session) {
                Poll::Ready(outcome) => outcome?,
                Poll::Pending => return Poll::Pending,
            }
        }
        self.session.close().map_err(NetError::from)
    }

    /// Returns the result of the handshake; `None` before it is complete.
    pub fn info(&self) -> Option<Info> {
        self.session.info()
    }
}

/// The most bytes that one read takes from the session.
const READ: usize = 64 * 1024;

impl Inspected {
    pub(crate) fn new(
        context: Arc<HttpContext>,
        peer: Peer,
        entry: Arc<AuditEntry>,
        limits: SocketLimits,
    ) -> Self {
        Self {
            records: context.sessions.begin(peer.host.clone()),
            state: InspectedState::New(context, peer),
            entry,
            limits,
        }
    }

    fn inspector(&mut self) -> &mut Inspector {
        if let InspectedState::New(context, peer) = &self.state {
            // A rule for an address holds as well.
            let peer = match self.records.bound_to() {
                Some((address, port)) => peer.clone().at(address, port, context),
                None => peer.clone(),
            };
            let entry = Arc::clone(&self.entry);
            let inspector = Inspector::new(Arc::clone(context), entry, peer);
            self.state = InspectedState::Http(Box::new(inspector));
        }
        match &mut self.state {
            InspectedState::Http(inspector) => inspector,
            InspectedState::New(..) => unreachable!("the state was just set"),
        }
    }

    /// Takes plaintext, and encrypts what it leads to. Adds to `taken` how many bytes were taken,
    /// before every wait. Ready when all were taken, or when the outgoing buffer is full.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session,
        plaintext: &[u8],
        taken: &mut usize,
    ) -> Poll<Result<(), NetError>> {
        loop {
            ready!(self.inspector().poll_waiting(cx))?;
            if self.flush(session)?.is_pending() || *taken == plaintext.len() {
                return Poll::Ready(Ok(()));
            }
            let rest = &plaintext[*taken..];
            let count = self.inspector().forwardable(rest);
            if count > 0 {
                // The outgoing buffer is full.
                let Poll::Ready(sent) = session.write(&rest[..count])? else {
                    return Poll::Ready(Ok(()));
                };
                self.inspector().forwarded(&rest[..sent])?;
                *taken += sent;
                continue;
            }
            *taken += ready!(self.inspector().poll_request(cx, rest))?;
        }
    }

    /// Encrypts the bytes that the inspection took. Pending while the outgoing buffer is full.
    fn flush(&mut self, session: &mut Session) -> Poll<Result<(), NetError>> {
        let InspectedState::Http(inspector) = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        while !inspector.to_peer().is_empty() {
            let taken = ready!(session.write(inspector.to_peer()))?;
            inspector.sent(taken);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Inspected {
    fn drop(&mut self) {
        self.entry.close(CloseReason::LocalClose);
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession")
            .field("session", &self.session)
            .field("inspected", &self.inspected.is_some())
            .finish_non_exhaustive()
    }
}
