//! Connecting: `Resolving -> Connecting -> Open`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::admission::ConnectionSlot;
use crate::audit::activity::CloseReason;
use crate::audit::entry::AuditEntry;
use crate::context::NetworkContext;
use crate::dns::resolver::Answer;
use crate::error::NetError;
use crate::poll::deadline::Deadline;
use crate::poll::timeout::Timeout;
use crate::socket_limits::SocketLimits;
use crate::tcp::connect_budget::AttemptDeadline;
use crate::tcp::connection::Connection;
use crate::tcp::happy_eyeballs::{Connected, dial};
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::state::{Endpoints, HalfClose, State};

/// The target of a new connection.
pub(crate) enum ConnectTarget {
    /// A name: the future resolves it and checks its addresses.
    Name(BoxFuture<'static, Result<Answer, NetError>>),
    /// An address that the policy allows.
    Address(SocketAddr),
}

impl Connection {
    /// Returns a connection that begins to connect at `connect_at`, or at once for `None`, when it
    /// is polled.
    pub(crate) fn connect(
        context: Arc<NetworkContext>,
        entry: Arc<AuditEntry>,
        slot: ConnectionSlot,
        (host, port): (&str, u16),
        target: ConnectTarget,
        connect_at: Option<Instant>,
        deadline: AttemptDeadline,
    ) -> Self {
        Self {
            entry,
            slot: Some(slot),
            host: host.into(),
            port,
            state: match target {
                ConnectTarget::Name(answer) => State::Resolving(delayed_until(connect_at, answer)),
                ConnectTarget::Address(address) => State::Connecting(delayed_until(
                    connect_at,
                    dial_future(vec![address], &context),
                )),
            },
            deadline: Deadline::at(deadline.deadline),
            attempt: deadline.attempt,
            handshake_budget: context.config.connect_timeout(),
            endpoints: None,
            half_close: HalfClose::default(),
            deferred_error: None,
            quota_exceeded: false,
            close_reason: CloseReason::LocalClose,
            limits: SocketLimits::new(context),
        }
    }

    /// Waits until the connection is established. Every later call returns the same.
    ///
    /// `None` waits for the rest of the connect timeout, which starts in
    /// [`Network::connect`](crate::Network::connect) and covers the name lookup and every address
    /// that is dialled.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] with a zero timeout while the connection is not established. Any
    /// other error, including a timeout, is final, and every later call returns it:
    /// [`NetError::Denied`], [`NetError::NameNotFound`], [`NetError::NameTryAgain`],
    /// [`NetError::ConnectionRefused`], [`NetError::TimedOut`], [`NetError::HostUnreachable`] or
    /// [`NetError::NetworkUnreachable`].
    pub async fn finish_connect(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        let timeout = Timeout::new(timeout, self.limits.context.config.connect_timeout());
        match timeout.run(|cx| self.poll_connect(cx)).await {
            // The caller's own timeout ends the connection just as the connect timeout does.
            Err(NetError::TimedOut) => Err(self.fail(NetError::TimedOut)),
            outcome => outcome,
        }
    }

    /// Drives connecting. Ready when the connection is established or has failed.
    pub(super) fn poll_connect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if let Err(error) = self.limits.check_not_aborted() {
            return Poll::Ready(Err(error));
        }
        loop {
            let outcome = match &mut self.state {
                State::Resolving(resolving) => match resolving.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(answer)) => {
                        let port = self.port;
                        let addresses = answer
                            .addresses
                            .into_iter()
                            .map(|address| SocketAddr::new(address, port))
                            .collect();
                        // Resolving -> Connecting
                        self.state =
                            State::Connecting(dial_future(addresses, &self.limits.context));
                        continue;
                    }
                    Poll::Ready(Err(error)) => Err(error),
                },
                State::Connecting(dialling) => match dialling.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(connected)) => {
                        self.on_connected(connected);
                        Ok(())
                    }
                    Poll::Ready(Err(error)) => Err(error.into()),
                },
                State::Failed(error) => return Poll::Ready(Err(error.clone())),
                State::Taken => return Poll::Ready(Err(NetError::NotConnected)),
                State::Open(_) | State::Handshaking(_) | State::Tls(_) => {
                    return Poll::Ready(Ok(()));
                }
            };
            return Poll::Ready(outcome.map_err(|error| self.fail(error)));
        }
        // Check the deadline after polling the sockets: a guest program that was busy while the
        // connection was established has not timed out.
        ready!(self.deadline.poll(cx));
        Poll::Ready(Err(self.fail(NetError::TimedOut)))
    }

    /// `Connecting -> Open`.
    fn on_connected(&mut self, connected: Connected) {
        self.endpoints = Some(Endpoints {
            local: connected.local,
            peer: connected.peer,
        });
        self.handshake_budget = self.deadline.remaining();
        self.entry.connected(connected.peer);
        if let Some(attempt) = self.attempt.take() {
            attempt.succeeded();
        }
        self.state = State::Open(PrefixedStream::new(connected.stream, Vec::new()));
    }
}

fn dial_future(
    addresses: Vec<SocketAddr>,
    context: &NetworkContext,
) -> BoxFuture<'static, io::Result<Connected>> {
    let spare = context.spare_attempts.clone();
    Box::pin(async move { dial(&addresses, &spare).await })
}

/// Returns `future`, or a future that waits until `at` before it polls it.
fn delayed_until<T: 'static>(
    at: Option<Instant>,
    future: BoxFuture<'static, T>,
) -> BoxFuture<'static, T> {
    match at {
        None => future,
        Some(at) => Box::pin(async move {
            tokio::time::sleep_until(at).await;
            future.await
        }),
    }
}
