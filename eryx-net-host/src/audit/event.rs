//! Network events, delivered as they happen.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use eryx_net_policy::{HttpVerdict, Verdict, escape, quote_word};

use crate::audit::activity::{Activity, CloseReason};
use crate::audit::http_request::HttpRequestReport;
use crate::limits::kind::NetLimit;

/// Receives every event of a sandbox's network.
///
/// It is called in the middle of the operation, on the thread that runs it, so it must neither
/// block nor panic. Events contain internal addresses; they are for the embedder.
///
/// ```
/// use eryx_net_host::{Event, NetConfig, Network};
///
/// let observer = std::sync::Arc::new(|event: &Event| eprintln!("{event}"));
/// let network = Network::new(&NetConfig::default()).with_observer(observer);
/// # let _ = network;
/// ```
pub trait Observer: Send + Sync {
    /// Receives one event.
    fn event(&self, event: &Event);

    /// Returns `Pending` while the observer cannot take more events, and wakes `cx` when it can.
    ///
    /// The guest program waits meanwhile; its timeout and its cancellation do not. A few events may
    /// still arrive: those of calls in progress, and of connections that are closed.
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

/// An event of a connection, a lookup or another [`Activity`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The execution that the event belongs to, as in its [`ExecuteResult`](https://docs.rs/eryx)
    /// or error; 0 for a network that is used without a sandbox. An event of a session between two
    /// executions belongs to the earlier one.
    pub execution: u64,
    /// The number of the activity in this [`Network`](crate::Network), counted from 1 and never
    /// reused.
    pub id: u64,
    /// The activity that the event is about.
    pub activity: Activity,
    /// The host as the guest program wrote it, cut to 255 characters.
    pub host: Arc<str>,
    /// The port, or `None` for a lookup without one.
    pub port: Option<u16>,
    /// The number of this event among those of its cause, or `None` while every event is emitted.
    ///
    /// All events of established connections are emitted. Of one kind, the first 256 denials and
    /// failures are, and the first 512 events that cost a guest program no more than a call. After
    /// that, only the 2^k-th events of a cause are emitted (the 256th, the 512th, the 1,024th ...).
    pub count: Option<u64>,
    /// The kind of event, with its data.
    pub kind: EventKind,
}

/// The kinds of [`Event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A name was resolved, and the policy allows every answer or report-only mode is on.
    Resolved {
        /// The aliases that lead to the addresses, in order.
        aliases: Vec<String>,
        /// All addresses.
        addresses: Vec<IpAddr>,
        /// How long the lookup took.
        elapsed: Duration,
    },
    /// A name was not resolved, for a reason that the guest program does not see.
    Unresolved {
        /// The resolver's message, cut to 255 characters. A name server may have chosen it.
        reason: String,
    },
    /// The embedder's proxy did not make the connection, for a reason that the guest program sees
    /// only in part.
    ProxyFailed {
        /// The URL of the proxy, without credentials.
        proxy: Arc<str>,
        /// What failed, cut to 255 characters. The proxy may have chosen a part of it.
        reason: String,
    },
    /// The policy denied the activity, or an operation of it.
    Denied {
        /// The verdict, with the reason and the rule.
        verdict: Box<Verdict>,
    },
    /// The policy would deny the activity, which goes on in
    /// [report-only mode](crate::NetConfig::with_report_only).
    WouldDeny {
        /// The verdict, with the reason and the rule.
        verdict: Box<Verdict>,
    },
    /// An operation failed because of a limit. Emitted once for each limit of an activity.
    LimitReached {
        /// The limit.
        limit: NetLimit,
    },
    /// An operation waits because of a rate limit. Emitted once for each limit of an activity.
    Throttled {
        /// The limit.
        limit: NetLimit,
    },
    /// A connection was established, or a UDP destination was added.
    Connected {
        /// The address that was dialled, directly or through the proxy. For a name that the proxy
        /// resolves: the placeholder that the guest program sees.
        address: SocketAddr,
        /// The URL of the proxy that carries the connection, without credentials; `None` for a
        /// direct connection.
        proxy: Option<Arc<str>>,
        /// The verdict that allowed it, or that was only reported.
        verdict: Box<Verdict>,
        /// The time since the guest program began to connect, including the lookup.
        elapsed: Duration,
    },
    /// The TLS handshake of a connection is complete.
    Tls {
        /// The protocol version, such as `TLSv1.3`.
        version: &'static str,
        /// The cipher suite by OpenSSL's name.
        cipher: String,
        /// The name that was sent and verified, if any.
        server_name: Option<String>,
    },
    /// An HTTP request to an inspected host has ended, or failed.
    HttpRequest {
        /// The entry of the request log.
        request: Box<HttpRequestReport>,
    },
    /// An HTTP request was denied. The connection ends.
    HttpDenied {
        /// The entry of the request log.
        request: Box<HttpRequestReport>,
    },
    /// The HTTP rules would deny a request, which goes on in
    /// [report-only mode](crate::NetConfig::with_report_only).
    HttpWouldDeny {
        /// The verdict, with the reason and the rule.
        verdict: Box<HttpVerdict>,
    },
    /// The activity has ended.
    Closed {
        /// Bytes that the guest program sent, before encryption.
        sent: u64,
        /// Bytes that the guest program received, after decryption.
        received: u64,
        /// The time from its beginning to its end.
        duration: Duration,
        /// Why it ended.
        close_reason: CloseReason,
    },
}

impl EventKind {
    /// Returns the stable name of the kind, for logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Resolved { .. } => "resolved",
            Self::Unresolved { .. } => "unresolved",
            Self::ProxyFailed { .. } => "proxy-failed",
            Self::Denied { .. } => "denied",
            Self::WouldDeny { .. } => "would-deny",
            Self::LimitReached { .. } => "limit-reached",
            Self::Throttled { .. } => "throttled",
            Self::Connected { .. } => "connected",
            Self::Tls { .. } => "tls",
            Self::HttpRequest { .. } => "http-request",
            Self::HttpDenied { .. } => "http-denied",
            Self::HttpWouldDeny { .. } => "http-would-deny",
            Self::Closed { .. } => "closed",
        }
    }
}

impl fmt::Display for Event {
    /// Writes one line, whatever text the guest program and its peers chose: invalid host names are
    /// quoted, and invisible characters are escaped.
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
            EventKind::ProxyFailed { proxy, reason } => {
                write!(f, " failed at the proxy {proxy}: {}", escape(reason))
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
                address,
                proxy,
                elapsed,
                ..
            } => {
                write!(f, " connected to {address}")?;
                if let Some(proxy) = proxy {
                    write!(f, " through {proxy}")?;
                }
                write!(f, " in {elapsed:.1?}")
            }
            EventKind::Tls {
                version,
                cipher,
                server_name,
            } => {
                let name = server_name.as_deref().map(quote_word);
                let name = name.as_deref().unwrap_or("an unnamed server");
                write!(f, " speaks {version} ({cipher}) with {name}")
            }
            EventKind::HttpRequest { request } => write!(f, " {}", escape(&request.to_string())),
            EventKind::HttpDenied { request } => {
                let error = request.error.as_deref().unwrap_or_default();
                write!(f, " denied: {}", escape(error))
            }
            EventKind::HttpWouldDeny { verdict } => {
                let verdict = escape(&verdict.to_string());
                write!(f, " goes on, report_only is set: {verdict}")
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
                " (number {count} of its cause; not all of them are reported)"
            ),
            None => Ok(()),
        }
    }
}
