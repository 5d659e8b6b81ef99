//! The end of a connection.

use std::future::poll_fn;

use eryx_tls::POLL_LIMIT;

use super::*;
use crate::prompt;
use crate::stream::DISCARD;

/// How long the last bytes of a dropped connection may take to be sent.
const LINGER: Duration = Duration::from_secs(2);

impl Drop for Connection {
    /// Says goodbye as far as that needs no waiting.
    ///
    /// Only when ciphertext of an earlier write still waits for the kernel does something outlive the
    /// connection: a task that owns the socket and the place in the connection limit, for two seconds at
    /// most, and not past [`Network::abort`](crate::Network::abort).
    fn drop(&mut self) {
        let aborted = self.shared.is_aborted();
        let state = std::mem::replace(&mut self.state, State::Gone);
        if let State::Tls(mut encrypted) = state
            && !aborted
        {
            let tail = encrypted.wants_flush();
            let mut cx = Context::from_waker(prompt::nobody());
            let unsent = encrypted.poll_close_notify(&mut cx).is_pending();
            // A socket that closes with bytes unread resets the connection, and what the peer has not
            // received by then is lost. Session tickets (RFC 8446, 4.6.1) nearly always lie there unread. A peer that
            // sends more than that must not keep whoever drops the connection.
            let _ = encrypted.stream_mut().poll_discard(&mut cx);
            if tail && unsent {
                self.linger(encrypted);
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
    fn linger(&mut self, encrypted: Box<Encrypted>) {
        // Outside of a runtime nobody could wait: the socket closes, and the peer sees a truncated stream.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let place = self.place.take();
        let task = runtime.spawn(async move {
            // A peer that does not read in time loses the tail, as it would with a closed socket.
            let _ = tokio::time::timeout(LINGER, part(encrypted)).await;
            drop(place);
        });
        self.shared.linger(task.abort_handle());
    }
}

/// Sends what is left, close_notify and the end of the stream, and waits for the peer's end. What the peer sends
/// meanwhile is discarded: a peer that is not read from may stop reading itself.
async fn part(mut encrypted: Box<Encrypted>) {
    let sent = poll_fn(|cx| {
        let outcome = encrypted.poll_close_notify(cx);
        if outcome.is_pending() {
            let _ = poll_discard(encrypted.stream_mut(), cx);
        }
        outcome
    });
    if sent.await.is_err() {
        return;
    }
    let (mut stream, _) = encrypted.into_plain().into_parts();
    if stream.shutdown().is_ok() {
        poll_fn(|cx| poll_discard(&mut stream, cx)).await;
    }
}

/// Discards what the peer sends, as it comes. Ready at the end of the stream, or when it fails.
///
/// Nothing is decrypted, and no more is taken in than one poll may; then the task is woken at once.
fn poll_discard(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..POLL_LIMIT / DISCARD {
        match std::task::ready!(stream.poll_discard(cx)) {
            Ok(0) | Err(_) => return Poll::Ready(()),
            Ok(_) => {}
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
