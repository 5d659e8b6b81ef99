//! A name lookup of the guest program.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use eryx_net_policy::Host;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::admission::AdmittedLookup;
use crate::audit::activity::CloseReason;
use crate::audit::entry::AuditEntry;
use crate::checked_lookup;
use crate::connect_budget::ConnectBudget;
use crate::context::NetworkContext;
use crate::dns::resolved_names::ResolvedName;
use crate::error::NetError;
use crate::host_memory::Charge;
use crate::limits::semaphore::Permit;
use crate::poll::deadline::Deadline;
use crate::poll::operation_timeout::OperationTimeout;

/// The address family of a lookup or a UDP socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv6 and IPv4.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// A lookup in progress. Dropping it cancels it.
///
/// The lookup makes progress only while [`finish`](Self::finish) or
/// [`poll_ready`](Self::poll_ready) is polled, except for the queries to name servers: they run in
/// a task, which ends with the last lookup that waits for them.
pub struct Lookup {
    context: Arc<NetworkContext>,
    entry: Arc<AuditEntry>,
    state: State,
    deadline: Deadline,
    _permit: Permit,
    _memory: Charge,
}

enum State {
    Running(BoxFuture<'static, Result<Vec<IpAddr>, NetError>>),
    Done(Result<Vec<IpAddr>, NetError>),
}

impl Lookup {
    pub(crate) fn new(
        context: Arc<NetworkContext>,
        entry: Arc<AuditEntry>,
        admitted: AdmittedLookup,
        port: Option<u16>,
        family: Family,
    ) -> Self {
        let deadline = Instant::now() + context.config.connect_timeout();
        let state = match admitted.host {
            Host::Address(address) => State::Done(family.filter(vec![address])),
            Host::Name(name) => {
                let (context, entry) = (Arc::clone(&context), Arc::clone(&entry));
                State::Running(Box::pin(async move {
                    let mut answer = checked_lookup::resolve(
                        Arc::clone(&context),
                        Arc::clone(&entry),
                        name.clone(),
                        port,
                    )
                    .await?;
                    let bytes = ResolvedName::memory(&name, &answer);
                    let failures = context.resolved_names.failures(&name, &answer.addresses);
                    if let Some(port) = port {
                        failures.sort(&mut answer.addresses, port);
                    }
                    let resolved = ResolvedName {
                        _memory: context.charge(&entry, bytes)?,
                        name,
                        aliases: answer.aliases,
                        connect_budget: Arc::new(ConnectBudget::after_lookup(deadline, failures)),
                    };
                    context
                        .resolved_names
                        .insert(resolved, answer.addresses.iter().copied());
                    family.filter(answer.addresses)
                }))
            }
        };
        Self {
            deadline: Deadline::at(deadline),
            context,
            entry,
            state,
            _permit: admitted.permit,
            _memory: admitted.memory,
        }
    }

    /// Waits for the answer: the addresses of this name that the policy allows, in the order to try
    /// them. Every later call returns the same. Connecting to one of them counts as connecting to
    /// the name. Those to which this sandbox could not connect on the same port, in the last ten
    /// minutes, are last.
    ///
    /// Resolves and checks both families, whichever the caller wants, so that a name has the same
    /// verdict on every path. `None` waits for the rest of the connect timeout.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] with a zero timeout, [`NetError::TimedOut`], [`NetError::Denied`],
    /// [`NetError::NameNotFound`], [`NetError::NameWithoutAddress`] or [`NetError::NameTryAgain`].
    pub async fn finish(&mut self, timeout: Option<Duration>) -> Result<Vec<IpAddr>, NetError> {
        OperationTimeout::new(timeout, self.context.config.connect_timeout())
            .run(|cx| self.poll_answer(cx))
            .await
    }

    /// Ready when the lookup has succeeded or failed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_answer(cx).map(drop)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, NetError>> {
        if self.context.is_aborted() {
            return Poll::Ready(Err(NetError::ConnectionAborted));
        }
        let outcome = match &mut self.state {
            State::Done(outcome) => return Poll::Ready(outcome.clone()),
            State::Running(running) => match running.as_mut().poll(cx) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => {
                    ready!(self.deadline.poll(cx));
                    Err(NetError::TimedOut)
                }
            },
        };
        self.state = State::Done(outcome.clone());
        Poll::Ready(outcome)
    }
}

impl Family {
    /// Returns the addresses of this family.
    fn filter(self, mut addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, NetError> {
        addresses.retain(|address| match self {
            Self::Any => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        });
        if addresses.is_empty() {
            return Err(NetError::NameWithoutAddress);
        }
        Ok(addresses)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.entry.close(match &self.state {
            _ if self.context.is_aborted() => CloseReason::Aborted,
            State::Done(Err(NetError::Denied(_))) => CloseReason::Denied,
            State::Done(Err(error)) => CloseReason::Error(error.clone()),
            State::Done(Ok(_)) | State::Running(_) => CloseReason::LocalClose,
        });
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("entry", &self.entry)
            .field("done", &matches!(self.state, State::Done(_)))
            .finish_non_exhaustive()
    }
}
