//! What happens on a sandbox's network, told while it happens.

#[cfg(feature = "serde")]
mod written;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eryx_net_policy::{Verdict, escape, quote_word};

use crate::{Activity, NetError, NetLimit};

/// Receives every event of a sandbox's network.
///
/// It is called in the middle of the operation, on whatever thread runs it, so it must neither block nor
/// panic. Events hold internal addresses; they are for the embedder.
///
/// ```
/// use eryx_net_host::{Event, NetConfig, Network};
///
/// let network = Network::new(&NetConfig::default()).with_observer(std::sync::Arc::new(|event: &Event| {
///     eprintln!("{event}");
/// }));
/// # let _ = network;
/// ```
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);

    /// Returns `Pending` while no more events can be taken, and has `cx` woken when they can. A sandbox's program waits
    /// meanwhile; its timeout and its cancellation do not. A few events may come nevertheless: those of calls that are
    /// under way, and of connections that are closed.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = cx;
        Poll::Ready(())
    }
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Something that happened to a connection or a lookup.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The execution it belongs to, as in its [`ExecuteResult`](https://docs.rs/eryx) or error; 0 for a network that
    /// is used without a sandbox. What happens in a session between two executions belongs to the one before.
    pub execution: u64,
    /// Which connection or lookup of this [`Network`](crate::Network), counted from 1 and never reused.
    pub id: u64,
    /// What it is.
    pub activity: Activity,
    /// The host as the untrusted program wrote it, cut to 255 characters.
    pub host: Arc<str>,
    /// The port, or `None` for a lookup that names none.
    pub port: Option<u16>,
    /// `None` while each event is handed on. After the first 256 events of a kind about what was refused or failed, and
    /// the first 512 about what costs a program no more than a call, only each 2^k-th of one cause is (the 256th,
    /// the 512th, the 1,024th ...), and this is which one it is. Connections that were established are never left out.
    pub count: Option<u64>,
    /// What happened.
    pub kind: EventKind,
}

/// The kinds of [`Event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A name was resolved and every answer was allowed, or denials are only reported.
    Resolved {
        /// The aliases on the way, in order.
        aliases: Vec<String>,
        /// All addresses.
        addresses: Vec<IpAddr>,
        /// How long it took.
        elapsed: Duration,
    },
    /// A name was not resolved for a reason that the program does not hear.
    Unresolved {
        /// The resolver's words, cut to 255 characters. A name server may have chosen them.
        reason: String,
    },
    /// The policy said no.
    Denied {
        /// Why, and by which rule.
        verdict: Box<Verdict>,
    },
    /// The policy said no, and is only [reported](crate::NetConfig::with_report_only): it went on.
    WouldDeny {
        /// Why, and by which rule.
        verdict: Box<Verdict>,
    },
    /// A limit was reached, and something failed for it. Told once for each limit of a connection or lookup.
    LimitReached {
        /// Which.
        limit: NetLimit,
    },
    /// A limit on how much may happen a second made it wait. Told once for each limit of a connection.
    Throttled {
        /// Which.
        limit: NetLimit,
    },
    /// A connection was established, or datagrams to a destination begin.
    Connected {
        /// The address that was dialled.
        address: SocketAddr,
        /// The verdict that let it pass, or that was only reported.
        verdict: Box<Verdict>,
        /// How long it took since the program asked, the lookup included.
        elapsed: Duration,
    },
    /// A connection was turned into TLS.
    Tls {
        /// The protocol version, such as `TLSv1.3`.
        version: &'static str,
        /// The cipher suite by OpenSSL's name.
        cipher: String,
        /// The name that was sent and verified, if any.
        server_name: Option<String>,
    },
    /// A connection or lookup is over.
    Closed {
        /// Bytes the program sent, before encryption.
        sent: u64,
        /// Bytes the program received, after decryption.
        received: u64,
        /// How long it lived.
        duration: Duration,
        /// How it ended.
        close_reason: CloseReason,
    },
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The program closed it.
    LocalClose,
    /// The peer had ended the stream before the program closed.
    PeerClose,
    /// The policy refused it.
    Denied,
    /// It failed with this error.
    Error(NetError),
    /// The embedder tore the network down.
    Aborted,
}

impl EventKind {
    /// The kind as a word for logs. It stays what it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resolved { .. } => "resolved",
            Self::Unresolved { .. } => "unresolved",
            Self::Denied { .. } => "denied",
            Self::WouldDeny { .. } => "would-deny",
            Self::LimitReached { .. } => "limit-reached",
            Self::Throttled { .. } => "throttled",
            Self::Connected { .. } => "connected",
            Self::Tls { .. } => "tls",
            Self::Closed { .. } => "closed",
        }
    }
}

impl CloseReason {
    /// How it ended as a word for logs. It stays what it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::LocalClose => "local-close",
            Self::PeerClose => "peer-close",
            Self::Denied => "denied",
            Self::Error(_) => "error",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for Event {
    /// One line, whatever the program and its peers chose: host names that are none are quoted, and what is invisible
    /// is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.execution != 0 {
            write!(f, "{}", self.execution)?;
        }
        write!(f, "#{} {}", self.id, quote_word(&self.host))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match &self.kind {
            EventKind::Resolved {
                addresses, elapsed, ..
            } => {
                let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
                write!(f, " resolved to {} in {elapsed:.1?}", addresses.join(", "))
            }
            EventKind::Unresolved { reason } => {
                write!(f, " could not be resolved: {}", escape(reason))
            }
            EventKind::Denied { verdict } => {
                write!(f, " denied: {}", escape(&verdict.to_string()))
            }
            EventKind::WouldDeny { verdict } => {
                let verdict = escape(&verdict.to_string());
                write!(f, " goes on, report_only is set: {verdict}")
            }
            EventKind::LimitReached { limit } => write!(f, " has reached {limit}"),
            EventKind::Throttled { limit } => write!(f, " waits for {limit}"),
            EventKind::Connected {
                address, elapsed, ..
            } => write!(f, " connected to {address} in {elapsed:.1?}"),
            EventKind::Tls {
                version,
                cipher,
                server_name,
            } => {
                let name = server_name.as_deref().map(quote_word);
                let name = name.as_deref().unwrap_or("an unnamed server");
                write!(f, " speaks {version} ({cipher}) with {name}")
            }
            EventKind::Closed {
                sent,
                received,
                duration,
                close_reason,
            } => {
                let reason = escape(&close_reason.to_string());
                write!(
                    f,
                    " closed after {duration:.1?}: {sent} bytes sent, {received} received, {reason}"
                )
            }
        }?;
        match self.count {
            Some(count) => write!(
                f,
                " (number {count} of its cause, not all of which are handed on)"
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalClose => f.write_str("ended by the program"),
            Self::PeerClose => f.write_str("ended by the peer"),
            Self::Denied => f.write_str("denied"),
            Self::Error(error) => write!(f, "failed: {error}"),
            Self::Aborted => f.write_str("torn down"),
        }
    }
}
