//! Closing: close_notify, and the lingering close of a connection with buffered bytes.

use std::future::poll_fn;
use std::net::Shutdown;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use eryx_tls::POLL_LIMIT;

use crate::audit::activity::CloseReason;
use crate::error::NetError;
use crate::poll::noop_waker::noop_waker;
use crate::tcp::connection::Connection;
use crate::tcp::inspected_stream::InspectedStream;
use crate::tcp::lazy_tcp_stream::{DRAIN_SIZE, LazyTcpStream};
use crate::tcp::state::State;
use crate::tcp::tls_connection::TlsConnection;
use crate::tcp::transport::Transport;

/// The timeout of a lingering close.
const LINGER: Duration = Duration::from_secs(2);

impl Drop for Connection {
    /// Sends close_notify if that does not block.
    ///
    /// If bytes of an earlier write are still buffered, a task outlives the connection. It owns the
    /// socket and the connection slot, for at most two seconds and not past
    /// [`Network::abort`](crate::Network::abort).
    fn drop(&mut self) {
        let aborted = self.limits.context.is_aborted();
        let state = std::mem::replace(&mut self.state, State::Taken);
        if let Some(mut lingering) = LingeringConnection::from_state(state)
            && !aborted
            && !self.resets_on_close
        {
            let has_bytes_left = lingering.wants_flush();
            let mut cx = Context::from_waker(noop_waker());
            let unsent = lingering.poll_close_notify(&mut cx).is_pending();
            // Closing a socket with unread bytes resets the connection, and the peer loses the
            // bytes that it has not received. Session tickets (RFC 8446, 4.6.1) are nearly always
            // left unread. One read is enough: a peer that sends more must not delay the caller.
            let _ = lingering.tcp_mut().poll_drain(&mut cx);
            if has_bytes_left && unsent {
                self.linger(lingering);
            }
        }
        self.entry.close(if aborted {
            CloseReason::Aborted
        } else {
            std::mem::replace(&mut self.close_reason, CloseReason::LocalClose)
        });
    }
}

impl Connection {
    fn linger(&mut self, lingering: LingeringConnection) {
        // Outside a runtime no task can wait: the socket closes, and the peer sees a truncated
        // stream.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let slot = self.slot.take();
        let task = runtime.spawn(async move {
            // A peer that does not read in time loses the last bytes, as it would with a closed
            // socket.
            let _ = tokio::time::timeout(LINGER, linger_close(lingering)).await;
            drop(slot);
        });
        self.limits.context.track_lingering(task.abort_handle());
    }
}

/// A connection that is closed and may have bytes left to send: with TLS of the guest program, TLS
/// to a proxy, or inspection.
enum LingeringConnection {
    Tls(Box<TlsConnection>),
    Inspected(Box<InspectedStream>),
    Plain(Transport),
}

impl LingeringConnection {
    /// Returns `None` if all bytes that were taken are with the kernel.
    fn from_state(state: State) -> Option<Self> {
        match state {
            State::Tls(tls) => Some(Self::Tls(tls)),
            State::Inspected(inspected) => Some(Self::Inspected(inspected)),
            State::Open(plain) if plain.transport().is_tls() => {
                Some(Self::Plain(plain.into_parts().0))
            }
            _ => None,
        }
    }

    fn wants_flush(&self) -> bool {
        match self {
            Self::Tls(tls) => tls.wants_flush(),
            Self::Inspected(inspected) => inspected.wants_flush(),
            Self::Plain(transport) => transport.wants_flush(),
        }
    }

    /// Sends close_notify after all bytes that were written, for each TLS.
    fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let transport = match self {
            Self::Tls(tls) => {
                ready!(tls.poll_close_notify(cx))?;
                tls.transport_mut()
            }
            Self::Inspected(inspected) => {
                ready!(inspected.poll_close_notify(cx))?;
                inspected.transport_mut()
            }
            Self::Plain(transport) => transport,
        };
        transport.poll_close_notify(cx).map_err(NetError::from)
    }

    fn tcp_mut(&mut self) -> &mut LazyTcpStream {
        match self {
            Self::Tls(tls) => tls.transport_mut().tcp_mut(),
            Self::Inspected(inspected) => inspected.transport_mut().tcp_mut(),
            Self::Plain(transport) => transport.tcp_mut(),
        }
    }
}

/// Sends the buffered bytes, close_notify and the end of the stream, and waits for the end of
/// the peer's stream. Drains its input meanwhile: a peer whose own writes block may not read ours.
async fn linger_close(mut lingering: LingeringConnection) {
    let sent = poll_fn(|cx| {
        let outcome = lingering.poll_close_notify(cx);
        if outcome.is_pending() {
            let _ = poll_drain(lingering.tcp_mut(), cx);
        }
        outcome
    });
    if sent.await.is_err() {
        return;
    }
    if lingering.tcp_mut().shutdown(Shutdown::Write).is_ok() {
        poll_fn(|cx| poll_drain(lingering.tcp_mut(), cx)).await;
    }
}

/// Discards the peer's bytes as they arrive, without decrypting them. Ready at the end of the
/// stream, or when it fails.
///
/// Stops at the work limit of one poll, and then wakes the task at once.
fn poll_drain(stream: &mut LazyTcpStream, cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..POLL_LIMIT / DRAIN_SIZE {
        match ready!(stream.poll_drain(cx)) {
            Ok(0) | Err(_) => return Poll::Ready(()),
            Ok(_) => {}
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
