//! The report of a sandbox's network activity.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use eryx_net_policy::{Rule, Verdict};

use crate::audit::activity::{Activity, CloseReason};
use crate::audit::http_request::HttpRequestReport;

/// The activity of a [`Network`](crate::Network).
///
/// Its size is bounded, and denials never displace connections. It lists at most 1,024 established
/// connections and UDP destinations, of which those that ended without a byte are evicted for later
/// ones; 512 lookups and abandoned attempts; and 256 denials and failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkReport {
    /// Its connections, lookups and UDP destinations in the order in which they began, up to those
    /// bounds: the first of each kind.
    pub connections: Vec<ConnectionReport>,
    /// The counts of all denials and failures, listed or not, by reason and rule. At most 64 rules
    /// have a count of their own; further ones share one per reason.
    pub refusals: Vec<Refusals>,
    /// Its HTTP requests to inspected hosts that have ended, in the order of their ends: the first
    /// 512 that were sent, and the first 256 that were denied.
    pub requests: Vec<HttpRequestReport>,
    /// The number of activities that are not listed.
    pub dropped: u64,
    /// The number of HTTP requests that are not listed.
    pub dropped_requests: u64,
    /// Bytes sent by all sockets together, before encryption.
    pub sent: u64,
    /// Bytes received by all sockets together, after decryption.
    pub received: u64,
}

/// The denials and failures with one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// The policy's [reason](eryx_net_policy::Reason::as_str), the
    /// [setting](crate::NetLimit::setting) of a limit, or the [name](crate::NetError::as_str) of an
    /// error.
    pub reason: &'static str,
    /// The rule that decided, if one did. Also `None` for rules beyond the 64 that have a count of
    /// their own.
    pub rule: Option<Rule>,
    /// The number of denials or failures.
    pub count: u64,
    /// The first one.
    pub first: RefusedAttempt,
    /// The latest one.
    pub last: RefusedAttempt,
}

/// An activity of the guest program that was denied or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedAttempt {
    /// The kind of activity.
    pub activity: Activity,
    /// The host as the guest program wrote it, cut to 255 characters.
    pub host: String,
    /// The port, or `None` for a lookup without one.
    pub port: Option<u16>,
    /// When it was denied or failed.
    pub time: SystemTime,
}

/// One connection, one lookup, one destination of a UDP socket, or one TLS session that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionReport {
    /// The number that its [events](crate::Event) carry.
    pub id: u64,
    /// The kind of activity.
    pub activity: Activity,
    /// The host as the guest program wrote it, cut to 255 characters.
    pub host: String,
    /// The port, or `None` for a lookup without one.
    pub port: Option<u16>,
    /// The addresses of the host, at most 16 of them. Internal ones included.
    pub addresses: Vec<IpAddr>,
    /// The address that the connection was established to, directly or through the proxy. For a
    /// name that the proxy resolves: the placeholder that the guest program sees.
    pub address: Option<SocketAddr>,
    /// The URL of the proxy that carried the connection, or was asked to, without credentials;
    /// `None` for a direct connection.
    pub proxy: Option<String>,
    /// The latest verdict of the policy, with the deciding rule and the canonical name.
    pub verdict: Option<Verdict>,
    /// Bytes sent, before encryption.
    pub sent: u64,
    /// Bytes received, after decryption.
    pub received: u64,
    /// The TLS version, such as `TLSv1.3`, if a TLS handshake was completed.
    pub tls: Option<&'static str>,
    /// The time from its beginning to its end, or until now.
    pub duration: Duration,
    /// Why it ended; `None` while it has not.
    pub close_reason: Option<CloseReason>,
}
