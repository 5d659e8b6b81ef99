//! A name lookup of the guest.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eryx_net_policy::Host;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::attempts::Attempts;
use crate::ledger::Entry;
use crate::network::Shared;
use crate::patience::{Deadline, Patience};
use crate::permit::Permit;
use crate::remembered::Origin;
use crate::{Charge, CloseReason, NetError, establish, footprint};

/// Which addresses to look for.
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
/// It makes progress while somebody waits for it, through [`finish`](Self::finish) or
/// [`poll_ready`](Self::poll_ready).
pub struct Lookup {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    state: State,
    deadline: Deadline,
    _counted: (Permit, Charge),
}

enum State {
    Running(BoxFuture<'static, Result<Vec<IpAddr>, NetError>>),
    Done(Result<Vec<IpAddr>, NetError>),
}

impl Lookup {
    pub(crate) fn new(
        shared: Arc<Shared>,
        entry: Arc<Entry>,
        counted: (Permit, Charge),
        host: Host,
        port: Option<u16>,
        family: Family,
    ) -> Self {
        let deadline = Instant::now() + shared.config.connect_timeout();
        let state = match host {
            Host::Address(address) => State::Done(family.of(vec![address])),
            Host::Name(name) => {
                let (shared, entry) = (Arc::clone(&shared), Arc::clone(&entry));
                State::Running(Box::pin(async move {
                    let answer = establish::resolve(
                        Arc::clone(&shared),
                        Arc::clone(&entry),
                        name.clone(),
                        port,
                    )
                    .await?;
                    let bytes = footprint::answer(&name, &answer);
                    let origin = Origin {
                        _memory: shared.charge(&entry, bytes)?,
                        name,
                        aliases: answer.aliases,
                        attempts: Arc::new(Attempts::after_lookup(deadline)),
                    };
                    shared
                        .remembered
                        .note(origin, answer.addresses.iter().copied());
                    family.of(answer.addresses)
                }))
            }
        };
        Self {
            deadline: Deadline::at(deadline),
            shared,
            entry,
            state,
            _counted: counted,
        }
    }

    /// Waits for the answer: addresses the policy allows for this name, in the order to try them. Calling
    /// it again tells the same. Connecting to one of them counts as connecting to the name.
    ///
    /// Both families are resolved and judged whatever was asked for, so that a name gets the same verdict
    /// on every way. `None` waits for what is left of the connect timeout.
    ///
    /// # Errors
    ///
    /// [`NetError::WouldBlock`] with a zero timeout, [`NetError::TimedOut`], [`NetError::Denied`],
    /// [`NetError::NameNotFound`] or [`NetError::NameTryAgain`].
    pub async fn finish(&mut self, timeout: Option<Duration>) -> Result<Vec<IpAddr>, NetError> {
        Patience::new(timeout, self.shared.config.connect_timeout())
            .wait(|cx| self.poll_answer(cx))
            .await
    }

    /// Ready when the answer is there, good or bad.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_answer(cx).map(drop)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, NetError>> {
        if self.shared.is_aborted() {
            return Poll::Ready(Err(NetError::ConnectionAborted));
        }
        let outcome = match &mut self.state {
            State::Done(outcome) => return Poll::Ready(outcome.clone()),
            State::Running(running) => match running.as_mut().poll(cx) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => {
                    std::task::ready!(self.deadline.poll(cx));
                    Err(NetError::TimedOut)
                }
            },
        };
        self.state = State::Done(outcome.clone());
        Poll::Ready(outcome)
    }
}

impl Family {
    fn of(self, mut addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, NetError> {
        addresses.retain(|address| match self {
            Self::Any => true,
            Self::Ipv4 => address.is_ipv4(),
            Self::Ipv6 => address.is_ipv6(),
        });
        if addresses.is_empty() {
            return Err(NetError::NameNotFound);
        }
        Ok(addresses)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.entry.close(match &self.state {
            _ if self.shared.is_aborted() => CloseReason::Aborted,
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
