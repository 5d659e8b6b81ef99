//! Connecting: `Resolving -> Connecting -> Open`. Only checked addresses are dialled, and the name
//! is not looked up again, which prevents DNS rebinding.

use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eryx_net_policy::{Host, HostName};
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::admission::AdmittedConnection;
use crate::audit::activity::CloseReason;
use crate::audit::entry::AuditEntry;
use crate::checked_lookup;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::poll::deadline::Deadline;
use crate::poll::operation_timeout::OperationTimeout;
use crate::socket_limits::SocketLimits;
use crate::tcp::connection::Connection;
use crate::tcp::dial::dial;
use crate::tcp::established::EstablishedConnection;
use crate::tcp::inspected_stream::InspectedStream;
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::proxy_route;
use crate::tcp::state::{HalfClose, State};

impl Connection {
    /// Returns a connection that begins to connect when it is polled, at the admitted time.
    pub(crate) fn connect(
        context: Arc<NetworkContext>,
        entry: Arc<AuditEntry>,
        admitted: AdmittedConnection,
        port: u16,
    ) -> Self {
        let AdmittedConnection {
            host,
            policy_host,
            placeholder,
            slot,
            connect_at,
            deadline,
        } = admitted;
        let state = match (&host, placeholder) {
            (Host::Name(name), Some(placeholder)) => State::Connecting(delayed_until(
                connect_at,
                proxied_name_future(&context, &entry, (name.clone(), port), placeholder),
            )),
            (Host::Name(name), None) => State::Resolving(delayed_until(
                connect_at,
                Box::pin(checked_lookup::resolve(
                    Arc::clone(&context),
                    Arc::clone(&entry),
                    name.clone(),
                    Some(port),
                )),
            )),
            (Host::Address(address), _) => State::Connecting(delayed_until(
                connect_at,
                dial_future(&context, &entry, &policy_host, port, &[*address]),
            )),
        };
        Self {
            entry,
            slot: Some(slot),
            host,
            policy_host,
            port,
            state,
            deadline: Deadline::at(deadline.at),
            budgeted: deadline.budgeted,
            handshake_budget: context.config.connect_timeout(),
            endpoints: None,
            inspection: None,
            half_close: HalfClose::default(),
            resets_on_close: false,
            deferred_error: None,
            quota_exceeded: false,
            close_reason: CloseReason::LocalClose,
            limits: SocketLimits::new(context),
        }
    }

    /// Waits until the connection is established. Every later call returns the same.
    ///
    /// `None` waits for the rest of the connect timeout, which starts in
    /// [`Network::connect`](crate::Network::connect) and covers the name lookup, every address that
    /// is dialled, and the handshake with a proxy.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] with a zero timeout while the connection is not established. Any
    /// other error, including a timeout, is final, and every later call returns it:
    /// [`NetError::Denied`], [`NetError::NameNotFound`], [`NetError::NameTryAgain`],
    /// [`NetError::ConnectionRefused`], [`NetError::TimedOut`], [`NetError::HostUnreachable`] or
    /// [`NetError::NetworkUnreachable`].
    pub async fn finish_connect(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        let timeout = OperationTimeout::new(timeout, self.limits.context.config.connect_timeout());
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
                        // Resolving -> Connecting
                        self.state = State::Connecting(dial_future(
                            &self.limits.context,
                            &self.entry,
                            &self.policy_host,
                            self.port,
                            &answer.addresses,
                        ));
                        continue;
                    }
                    Poll::Ready(Err(error)) => Err(error),
                },
                State::Connecting(dialling) => match dialling.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(established)) => self.on_established(established),
                    Poll::Ready(Err(error)) => Err(error),
                },
                State::Failed(error) => return Poll::Ready(Err(error.clone())),
                State::Taken => return Poll::Ready(Err(NetError::NotConnected)),
                State::Open(_) | State::Handshaking(_) | State::Tls(_) | State::Inspected(_) => {
                    return Poll::Ready(Ok(()));
                }
            };
            return Poll::Ready(outcome.map_err(|error| self.fail(error)));
        }
        // Check the deadline after polling the sockets: a guest program that was busy while the
        // connection was established has not timed out.
        std::task::ready!(self.deadline.poll(cx));
        Poll::Ready(Err(self.fail(NetError::TimedOut)))
    }

    /// `Connecting -> Open`.
    fn on_established(&mut self, established: EstablishedConnection) -> Result<(), NetError> {
        let endpoints = established.endpoints;
        self.endpoints = Some(endpoints);
        self.handshake_budget = self.deadline.remaining();
        let proxy = established.tunnel.map(|tunnel| {
            if let Some(slot) = &mut self.slot {
                slot.set_tunnel(tunnel.memory);
            }
            tunnel.proxy
        });
        self.entry.connected(endpoints.peer, proxy);
        if let Some(connect) = self.budgeted.take() {
            connect.succeeded();
        }
        let context = &self.limits.context;
        let address = endpoints.policy_address();
        self.inspection = context.inspection_target(self.host.clone(), address, self.port);
        if self.inspection.is_some() {
            let memory = context.charge(&self.entry, context.inspection_memory())?;
            if let Some(slot) = &mut self.slot {
                slot.set_inspection(memory);
            }
        }
        self.state = self.plaintext_state(established.stream);
        Ok(())
    }
}

impl Connection {
    /// Returns the state of an established connection in clear text.
    pub(super) fn plaintext_state(&self, stream: PrefixedStream) -> State {
        match (&self.inspection, &self.limits.context.http) {
            (Some(target), Some(context)) => {
                State::Inspected(Box::new(InspectedStream::plaintext(
                    stream,
                    Arc::clone(context),
                    Arc::clone(&self.entry),
                    target.clone(),
                )))
            }
            _ => State::Open(stream),
        }
    }
}

/// Returns a future that connects to the first of `addresses` that answers. They are addresses of
/// `policy_host`, and the policy allows them.
fn dial_future(
    context: &Arc<NetworkContext>,
    entry: &Arc<AuditEntry>,
    policy_host: &Host,
    port: u16,
    addresses: &[IpAddr],
) -> BoxFuture<'static, Result<EstablishedConnection, NetError>> {
    let addresses = addresses.iter();
    let addresses: Vec<_> = addresses
        .map(|address| SocketAddr::new(*address, port))
        .collect();
    match context.config.proxy_server() {
        None => {
            let spare = context.spare_attempts.clone();
            Box::pin(async move { Ok(dial(&addresses, &spare).await?.into()) })
        }
        Some(proxy) => Box::pin(proxy_route::dial_addresses(
            Arc::clone(context),
            Arc::clone(entry),
            Arc::clone(proxy),
            policy_host.clone(),
            addresses,
        )),
    }
}

/// Returns a future that connects to a name through the proxy.
fn proxied_name_future(
    context: &Arc<NetworkContext>,
    entry: &Arc<AuditEntry>,
    target: (HostName, u16),
    placeholder: IpAddr,
) -> BoxFuture<'static, Result<EstablishedConnection, NetError>> {
    match context.config.proxy_server() {
        // Names are left to a proxy only where there is one.
        None => Box::pin(ready(Err(NetError::NetworkUnreachable))),
        Some(proxy) => Box::pin(proxy_route::dial_name(
            Arc::clone(context),
            Arc::clone(entry),
            Arc::clone(proxy),
            target,
            placeholder,
        )),
    }
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
