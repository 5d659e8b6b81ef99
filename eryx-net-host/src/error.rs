//! Every way a network operation can fail, and the one table from the system's errors to them.

use std::io;

use eryx_tls::TlsError;
use rustix::io::Errno;

/// Why an operation on the network did not succeed.
///
/// Texts are sentences for the person who wrote the untrusted program. They never carry an address
/// that program did not name itself; what was really resolved and dialled is in the
/// [events](crate::Event) and the [report](crate::NetworkReport).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The operation would have to wait, and the timeout was zero.
    #[error("the operation would block")]
    WouldBlock,
    /// The caller's timeout or the host's ceiling passed.
    #[error("the operation timed out")]
    TimedOut,
    /// The policy does not allow it. Names the host, the rule and what would change the verdict.
    #[error("{0}")]
    Denied(String),
    /// As many of something are there as may be at once. Names the limit.
    #[error("{0}")]
    LimitReached(String),
    /// As much was sent or received as may be in all. Names the limit.
    #[error("{0}")]
    QuotaExceeded(String),
    /// The name does not exist, or has no address of the family asked for.
    #[error("the name does not exist or has no address")]
    NameNotFound,
    /// The name could not be resolved now; another try may succeed.
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
    /// The connection is not established (yet, or any more).
    #[error("the connection is not established")]
    NotConnected,
    /// No route to the host.
    #[error("no route to the host")]
    HostUnreachable,
    /// No route to the network, or no address of that family on this machine.
    #[error("the network is unreachable")]
    NetworkUnreachable,
    /// No local port is left to connect from.
    #[error("the host has no local port left for another connection to this address")]
    AddressNotAvailable,
    /// The host's process, or its machine, has as many files and sockets open as it may.
    #[error(
        "the host has no file descriptor left for another socket: close some, or have the embedder raise \
         its limit on open files"
    )]
    TooManyFiles,
    /// The host has no memory left for a socket or what it is to send.
    #[error("the host has no memory left for the socket")]
    NoBufferSpace,
    /// A datagram is longer than any can be, or than the way to its destination allows.
    #[error("the message is too long")]
    MessageTooLong,
    /// An argument is malformed. A sentence that names it.
    #[error("{0}")]
    InvalidArgument(String),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsFailure),
    /// Anything else. A sentence.
    #[error("{0}")]
    Other(String),
}

/// What went wrong inside TLS, as opposed to the transport below it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The peer's certificate chain or name was not accepted.
    #[error("certificate verify failed: {message}")]
    Certificate {
        /// OpenSSL's `X509_V_ERR_*` number.
        code: u32,
        /// OpenSSL's words for `code`.
        message: String,
    },
    /// The peer ended the handshake or the session with this alert (RFC 8446, 6.2), in snake case.
    #[error("the peer sent the TLS alert {0}")]
    Alert(String),
    /// The peer does not speak TLS, or speaks it wrongly. A sentence.
    #[error("{0}")]
    Protocol(String),
    /// The transport ended without close_notify (RFC 8446, 6.1): the stream may be truncated.
    #[error("the TLS stream ended without close_notify")]
    UnexpectedEof,
    /// The requested settings cannot be honoured, or the embedder does not permit them. A sentence.
    #[error("{0}")]
    Refused(String),
}

impl NetError {
    /// The kind of error as a word for logs. It stays what it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::WouldBlock => "would-block",
            Self::TimedOut => "timed-out",
            Self::Denied(_) => "denied",
            Self::LimitReached(_) => "limit-reached",
            Self::QuotaExceeded(_) => "quota-exceeded",
            Self::NameNotFound => "name-not-found",
            Self::NameTryAgain => "name-try-again",
            Self::ConnectionRefused => "connection-refused",
            Self::ConnectionReset => "connection-reset",
            Self::ConnectionAborted => "connection-aborted",
            Self::BrokenPipe => "broken-pipe",
            Self::NotConnected => "not-connected",
            Self::HostUnreachable => "host-unreachable",
            Self::NetworkUnreachable => "network-unreachable",
            Self::AddressNotAvailable => "address-not-available",
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
    /// The one place where the system's errors become ours.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        // Those that have no kind of their own.
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
                "the host's own firewall or system policy forbids the connection".into(),
            ),
            Kind::InvalidInput => Self::InvalidArgument("the system rejects this argument".into()),
            // The text of an operating system error never holds an address, but a wrapped one may.
            kind => Self::Other(format!("the host's network reports: {kind}")),
        }
    }
}

impl From<TlsError> for NetError {
    /// Transport errors stay what they are, so that a reset never looks like a bad certificate.
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
    fn every_error_of_a_socket_has_its_name() {
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
    fn the_text_of_an_unknown_error_does_not_reach_the_program() {
        let secret = io::Error::other("10.1.2.3 said no");
        assert!(!NetError::from(secret).to_string().contains("10.1.2.3"));
    }
}
