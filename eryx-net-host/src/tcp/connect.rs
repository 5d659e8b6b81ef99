//! `Resolving -> Connecting -> Open`.

use std::task::ready;

use super::*;
use crate::dial::{Dialled, dial};

impl Connection {
    /// Waits until the connection is established. Calling it again tells the same.
    ///
    /// `None` waits for what is left of the connect timeout, which counts from
    /// [`Network::connect`](crate::Network::connect) and covers the name lookup and every address tried.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] with a zero timeout while it is not established. Any other error, a passed
    /// timeout included, is final and repeated from then on: [`NetError::Denied`],
    /// [`NetError::NameNotFound`], [`NetError::NameTryAgain`], [`NetError::ConnectionRefused`],
    /// [`NetError::TimedOut`], [`NetError::HostUnreachable`] or [`NetError::NetworkUnreachable`].
    pub async fn finish_connect(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        let patience = Patience::new(timeout, self.shared.config.connect_timeout());
        match patience.wait(|cx| self.poll_connected(cx)).await {
            // The caller's own timeout ends the attempt just as the host's does.
            Err(NetError::TimedOut) => Err(self.fail(NetError::TimedOut)),
            outcome => outcome,
        }
    }

    /// Goes on establishing. Ready when the connection stands, or has failed.
    pub(super) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if let Err(error) = self.check_not_aborted() {
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
                        self.state = State::Connecting(dialling(addresses, &self.shared));
                        continue;
                    }
                    Poll::Ready(Err(error)) => Err(error),
                },
                State::Connecting(dialling) => match dialling.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(dialled)) => {
                        self.opened(dialled);
                        Ok(())
                    }
                    Poll::Ready(Err(error)) => Err(error.into()),
                },
                State::Failed(error) => return Poll::Ready(Err(error.clone())),
                State::Gone => return Poll::Ready(Err(NetError::NotConnected)),
                State::Open(_) | State::Handshaking(_) | State::Tls(_) => {
                    return Poll::Ready(Ok(()));
                }
            };
            return Poll::Ready(outcome.map_err(|error| self.fail(error)));
        }
        // Asked only after a last look at the sockets: a program that was busy while its connection
        // came about has not timed out.
        ready!(self.deadline.poll(cx));
        Poll::Ready(Err(self.fail(NetError::TimedOut)))
    }

    /// `Connecting -> Open`.
    fn opened(&mut self, dialled: Dialled) {
        self.endpoints = Some(Endpoints {
            local: dialled.local,
            peer: dialled.peer,
        });
        self.budget = self.deadline.remaining();
        self.entry.connected(dialled.peer);
        if let Some(attempt) = self.attempt.take() {
            attempt.succeeded();
        }
        self.state = State::Open(Plain::new(dialled.stream, Vec::new()));
    }
}

pub(super) fn dialling(
    addresses: Vec<SocketAddr>,
    shared: &Shared,
) -> BoxFuture<'static, io::Result<Dialled>> {
    let spare = shared.spare_attempts.clone();
    Box::pin(async move { dial(&addresses, &spare).await })
}

/// `work`, begun at `turn`.
pub(super) fn in_turn<T: 'static>(
    turn: Option<Instant>,
    work: BoxFuture<'static, T>,
) -> BoxFuture<'static, T> {
    match turn {
        None => work,
        Some(turn) => Box::pin(async move {
            tokio::time::sleep_until(turn).await;
            work.await
        }),
    }
}
