//! What a sandbox did on the network, as a list.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use eryx_net_policy::{Rule, Verdict};

use crate::CloseReason;

/// Everything a [`Network`](crate::Network) did.
///
/// Its size is bounded, and what a program is refused never takes the place of what it reached: at most 1,024 entries
/// are of established connections and destinations of datagrams, where those that ended without a byte make room for
/// later ones; 512 of lookups and of attempts that were given up; and 256 of what was refused or failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkReport {
    /// Its connections and lookups in the order they began, up to those bounds. The first of each kind are kept.
    pub connections: Vec<ConnectionReport>,
    /// Everything that was refused or failed, counted by the reason and the rule, whether it is listed or not. At most
    /// 64 rules are told apart; the rest of each reason is one count.
    pub refusals: Vec<Refusals>,
    /// How many more connections and lookups there were than are listed.
    pub dropped: u64,
    /// Bytes sent by all connections together, before encryption.
    pub sent: u64,
    /// Bytes received by all connections together, after decryption.
    pub received: u64,
}

/// How often something was refused, or failed, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// Why, as a word: the [reason](eryx_net_policy::Reason::as_str) of the policy, the
    /// [setting](crate::NetLimit::setting) of a limit, or the [name](crate::NetError::name) of the error.
    pub reason: &'static str,
    /// The rule that decided, if one did. `None` as well for rules beyond the 64 that are told apart.
    pub rule: Option<Rule>,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Attempt,
    /// The latest time.
    pub last: Attempt,
}

/// What a program tried when it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// What the program wanted.
    pub activity: Activity,
    /// The host as the untrusted program wrote it, cut to 255 characters.
    pub host: String,
    /// The port, or `None` for a lookup that names none.
    pub port: Option<u16>,
    /// When it was refused.
    pub time: SystemTime,
}

/// One connection, one lookup, one socket's datagrams to one destination, or one TLS session that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionReport {
    /// The number its [events](crate::Event) carry.
    pub id: u64,
    /// What the program wanted.
    pub activity: Activity,
    /// The host as the untrusted program wrote it, cut to 255 characters.
    pub host: String,
    /// The port, or `None` for a lookup that names none.
    pub port: Option<u16>,
    /// The addresses the host stood for, at most 16 of them. Internal ones included.
    pub addresses: Vec<IpAddr>,
    /// The address that was dialled with success.
    pub address: Option<SocketAddr>,
    /// The latest verdict of the policy, which carries the deciding rule and the canonical name.
    pub verdict: Option<Verdict>,
    /// Bytes sent, before encryption.
    pub sent: u64,
    /// Bytes received, after decryption.
    pub received: u64,
    /// The TLS version, such as `TLSv1.3`, if the connection was turned into TLS.
    pub tls: Option<&'static str>,
    /// How long it lived, or has lived so far.
    pub duration: Duration,
    /// How it ended; `None` while it lasts.
    pub close_reason: Option<CloseReason>,
}

/// What a [`ConnectionReport`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// A TCP connection.
    Connection,
    /// A name lookup.
    Lookup,
    /// Datagrams (UDP) between one socket and one destination.
    Datagrams,
    /// TLS over a transport the program carries itself. Only those whose server name the policy denies are
    /// listed.
    TlsSession,
}

impl Activity {
    /// What it is as words for logs. They stay what they are.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Lookup => "lookup",
            Self::Datagrams => "datagrams",
            Self::TlsSession => "tls-session",
        }
    }
}
