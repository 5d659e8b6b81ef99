//! The states of a TCP connection.

use futures_util::future::BoxFuture;

use crate::dns::resolver::Answer;
use crate::error::NetError;
use crate::tcp::established::EstablishedConnection;
use crate::tcp::inspected_stream::InspectedStream;
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::tls_connection::{TlsConnection, TlsHandshake};

/// The state of a connection, as its owner sees it.
///
/// Legal transitions, each named where it happens:
///
/// - `Resolving -> Connecting` when the policy allows every answer; a literal address begins here
/// - `Connecting -> Open` when one address has answered
/// - `Open -> Handshaking` in `start_tls`, `Handshaking -> Tls` when the handshake is complete
/// - `Tls -> Open` when `end_tls` has received the peer's close_notify
/// - `Resolving | Connecting | Handshaking -> Failed`, which is final
/// - `Open | Tls -> HalfClosed -> Closed` as the two directions end, in either order
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The name is being resolved.
    Resolving,
    /// The addresses, or the proxy, are being dialled.
    Connecting,
    /// Bytes are transferred in plaintext.
    Open,
    /// A TLS handshake is in progress.
    Handshaking,
    /// Bytes are transferred over TLS.
    Tls,
    /// One direction has ended; the other is still open, in plaintext or over TLS.
    HalfClosed,
    /// Both directions have ended.
    Closed,
    /// Connecting or the TLS handshake has failed. Every operation returns the same error.
    Failed,
}

/// The direction of a connection to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Reading.
    Receive,
    /// Writing; the peer receives the end of the stream.
    Send,
    /// Both.
    Both,
}

/// A [`Phase`] with its data.
pub(super) enum State {
    Resolving(BoxFuture<'static, Result<Answer, NetError>>),
    Connecting(BoxFuture<'static, Result<EstablishedConnection, NetError>>),
    Open(PrefixedStream),
    Handshaking(Box<TlsHandshake>),
    Tls(Box<TlsConnection>),
    /// In clear text or over TLS, with inspection of HTTP.
    Inspected(Box<InspectedStream>),
    Failed(NetError),
    /// No state: only during a transition, and while the connection is dropped.
    Taken,
}

/// The directions that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HalfClose {
    /// The guest program has shut down reading.
    pub(super) read_shutdown: bool,
    /// The peer has sent the end of the stream.
    pub(super) peer_eof: bool,
    /// The guest program has shut down writing.
    pub(super) write_shutdown: bool,
    /// The end of the stream still has to be sent, after the bytes that are buffered.
    pub(super) fin_pending: bool,
}
