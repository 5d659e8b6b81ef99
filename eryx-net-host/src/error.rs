//! The errors of network operations, and the one table from the system's errors to them.

use std::io;

use eryx_tls::TlsError;
use rustix::io::Errno;

/// The error of a network operation.
///
/// Messages are for the author of the guest program. They never contain an address that the program
/// did not name itself; the addresses that were resolved and dialled are in the
/// [events](crate::Event) and the [report](crate::NetworkReport).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The operation would have to wait, and the timeout was zero.
    #[error("the operation would block")]
    WouldBlock,
    /// The caller's timeout or the configured ceiling passed.
    #[error("the operation timed out")]
    TimedOut,
    /// The policy denies it. Names the host, the rule, and the setting that would change the
    /// verdict.
    #[error("{0}")]
    Denied(String),
    /// A limit on concurrent objects or on a rate was reached. Names the limit.
    #[error("{0}")]
    LimitReached(String),
    /// The quota of sent or received bytes is exhausted. Names the limit.
    #[error("{0}")]
    QuotaExceeded(String),
    /// The name does not exist, or no host can have it.
    #[error("the name does not exist")]
    NameNotFound,
    /// The name exists, and has no address of the requested family.
    #[error("the name has no address")]
    NameWithoutAddress,
    /// The name could not be resolved now; a later attempt may succeed.
    #[error("the name could not be resolved for the moment")]
    NameTryAgain,
    /// The peer, or all peers, refused the connection.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// The peer reset the connection.
    #[error("the connection was reset by the peer")]
    ConnectionReset,
    /// The connection was aborted on this side.
    #[error("the connection was aborted")]
    ConnectionAborted,
    /// Bytes were written after the sending side was shut down, on either end.
    #[error("the sending side of the connection is shut down")]
    BrokenPipe,
    /// The connection is not established yet, or no longer.
    #[error("the connection is not established")]
    NotConnected,
    /// No route to the host.
    #[error("no route to the host")]
    HostUnreachable,
    /// No route to the network, or no address of that family on this machine.
    #[error("the network is unreachable")]
    NetworkUnreachable,
    /// No local port is left to connect from.
    #[error("the machine has no local port left for another connection to this address")]
    AddressNotAvailable,
    /// The embedder's proxy did not make the connection. Names the HTTP status or the SOCKS reply,
    /// and not the proxy, which is in the [event](crate::EventKind::ProxyFailed).
    #[error("{0}")]
    Proxy(String),
    /// This process, or the machine, has reached its limit on open files.
    #[error(
        "the machine has no file descriptor left for another socket: close some, or have the \
         embedder raise its limit on open files"
    )]
    TooManyFiles,
    /// The machine has no memory left for a socket or its send buffer.
    #[error("the machine has no memory left for the socket")]
    NoBufferSpace,
    /// A datagram is longer than UDP, or the path to its destination, allows.
    #[error("the message is too long")]
    MessageTooLong,
    /// An argument is malformed. Names it.
    #[error("{0}")]
    InvalidArgument(String),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// Any other error.
    #[error("{0}")]
    Other(String),
}

/// The error of a TLS operation, as opposed to one of the transport below it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The peer's certificate chain or name was not accepted.
    #[error("certificate verify failed: {message}")]
    Certificate {
        /// OpenSSL's `X509_V_ERR_*` number.
        code: u32,
        /// OpenSSL's message for `code`.
        message: String,
    },
    /// The peer ended the handshake or the session with this alert (RFC 8446, 6.2), in snake case.
    #[error("the peer sent the TLS alert {0}")]
    Alert(String),
    /// The peer does not speak TLS, or violates the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The transport ended without close_notify (RFC 8446, 6.1): the stream may be truncated.
    #[error("the TLS stream ended without close_notify")]
    UnexpectedEof,
    /// The requested settings cannot be honoured, or the embedder does not permit them.
    #[error("{0}")]
    Refused(String),
}

impl NetError {
    /// Returns the stable name of the error, for logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::WouldBlock => "would-block",
            Self::TimedOut => "timed-out",
            Self::Denied(_) => "denied",
            Self::LimitReached(_) => "limit-reached",
            Self::QuotaExceeded(_) => "quota-exceeded",
            Self::NameNotFound => "name-not-found",
            Self::NameWithoutAddress => "name-without-address",
            Self::NameTryAgain => "name-try-again",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionReset => "connection-reset",
            Self::ConnectionAborted => "connection-aborted",
            Self::BrokenPipe => "broken-pipe",
            Self::NotConnected => "not-connected",
            Self::HostUnreachable => "host-unreachable",
            Self::NetworkUnreachable => "network-unreachable",
            Self::AddressNotAvailable => "address-not-available",
            Self::Proxy(_) => "proxy-failed",
            Self::TooManyFiles => "too-many-files",
            Self::NoBufferSpace => "no-buffer-space",
            Self::MessageTooLong => "message-too-long",
            Self::InvalidArgument(_) => "invalid-argument",
            Self::Tls(_) => "tls",
            Self::Other(_) => "other",
        }
    }
}

impl From<io::Error> for NetError {
    /// Converts a system error. This is the only such conversion.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        // Errors without an `ErrorKind`.
        match Errno::from_io_error(&error) {
            Some(Errno::MSGSIZE) => return Self::MessageTooLong,
            Some(Errno::MFILE | Errno::NFILE) => return Self::TooManyFiles,
            Some(Errno::NOBUFS | Errno::NOMEM) => return Self::NoBufferSpace,
            _ => {}
        }
        match error.kind() {
            Kind::WouldBlock => Self::WouldBlock,
            Kind::TimedOut => Self::TimedOut,
            Kind::ConnectionRefused => Self::ConnectionRefused,
            Kind::ConnectionReset => Self::ConnectionReset,
            Kind::ConnectionAborted => Self::ConnectionAborted,
            Kind::BrokenPipe | Kind::WriteZero => Self::BrokenPipe,
            Kind::NotConnected => Self::NotConnected,
            Kind::HostUnreachable => Self::HostUnreachable,
            Kind::NetworkUnreachable | Kind::NetworkDown => Self::NetworkUnreachable,
            Kind::AddrNotAvailable => Self::AddressNotAvailable,
            Kind::OutOfMemory => Self::NoBufferSpace,
            Kind::PermissionDenied => Self::Other(
                "the machine's own firewall or system policy forbids the connection".into(),
            ),
            Kind::InvalidInput => Self::InvalidArgument("the system rejects this argument".into()),
            // The message of a system error never contains an address, but that of a wrapped one
            // may.
            kind => Self::Other(format!("the machine's network reports: {kind}")),
        }
    }
}

impl From<TlsError> for NetError {
    /// Keeps transport errors as they are, so that a reset is never mistaken for a bad certificate.
    fn from(error: TlsError) -> Self {
        Self::Tls(match error {
            TlsError::Io(error) => return error.into(),
            TlsError::Certificate { code, message } => TlsFailure::Certificate { code, message },
            TlsError::Alert(name) => TlsFailure::Alert(name),
            TlsError::Protocol(text) => TlsFailure::Protocol(text),
            TlsError::UnexpectedEof => TlsFailure::UnexpectedEof,
            TlsError::Refused(text) => TlsFailure::Refused(text),
            other => TlsFailure::Protocol(other.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_error_has_its_variant() {
        use NetError as E;
        // Linux numbers, as a socket returns them.
        let table = [
            (11, E::WouldBlock),
            (12, E::NoBufferSpace),
            (23, E::TooManyFiles),
            (24, E::TooManyFiles),
            (32, E::BrokenPipe),
            (90, E::MessageTooLong),
            (99, E::AddressNotAvailable),
            (100, E::NetworkUnreachable),
            (101, E::NetworkUnreachable),
            (103, E::ConnectionAborted),
            (104, E::ConnectionReset),
            (105, E::NoBufferSpace),
            (107, E::NotConnected),
            (110, E::TimedOut),
            (111, E::ConnectionRefused),
            (113, E::HostUnreachable),
        ];
        for (code, expected) in table {
            let error = NetError::from(io::Error::from_raw_os_error(code));
            assert_eq!(error, expected, "errno {code}");
            let through_tls = NetError::from(TlsError::Io(io::Error::from_raw_os_error(code)));
            assert_eq!(through_tls, expected, "errno {code} inside TLS");
        }
    }

    #[test]
    fn the_message_of_an_unknown_error_does_not_reach_the_guest_program() {
        let secret = io::Error::other("10.1.2.3 said no");
        assert!(!NetError::from(secret).to_string().contains("10.1.2.3"));
    }
}
