//! The kinds of activity on a sandbox's network, and how an activity can end.

use std::fmt;

use crate::error::NetError;

/// The activity that a [`ConnectionReport`](crate::ConnectionReport) or an [`Event`](crate::Event)
/// is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// A TCP connection.
    Connection,
    /// A name lookup.
    Lookup,
    /// Datagrams (UDP) between one socket and one destination.
    Datagrams,
    /// TLS over a transport of the guest program. Recorded only when the policy denies its server
    /// name, or the host memory is exhausted.
    TlsSession,
}

impl Activity {
    /// Returns the stable name of the activity, for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Lookup => "lookup",
            Self::Datagrams => "datagrams",
            Self::TlsSession => "tls-session",
        }
    }
}

/// Why a connection, lookup or socket was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The guest program closed it.
    LocalClose,
    /// The peer had ended the stream before the guest program closed it.
    PeerClose,
    /// The policy denied it.
    Denied,
    /// It failed with this error.
    Error(NetError),
    /// The embedder tore the network down.
    Aborted,
}

impl CloseReason {
    /// Returns the stable name of the reason, for logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::LocalClose => "local-close",
            Self::PeerClose => "peer-close",
            Self::Denied => "denied",
            Self::Error(_) => "error",
            Self::Aborted => "aborted",
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
