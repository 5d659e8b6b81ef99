//! What a sandbox did on the network, as a list.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use eryx_net_policy::Verdict;

use crate::End;

/// Everything a [`Network`](crate::Network) did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NetworkReport {
    /// Its connections and lookups in the order they began, up to a bound.
    pub connections: Vec<ConnectionReport>,
    /// How many more there were than the report keeps.
    pub dropped: u64,
    /// Bytes sent by all connections together, before encryption.
    pub sent: u64,
    /// Bytes received by all connections together, after decryption.
    pub received: u64,
}

/// One connection, one lookup, one socket's datagrams to one destination, or one TLS session that was denied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionReport {
    /// The number its [events](crate::Event) carry.
    pub id: u64,
    /// What the program wanted.
    pub what: Activity,
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
    pub end: Option<End>,
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
