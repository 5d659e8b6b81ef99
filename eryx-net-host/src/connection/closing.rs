//! The end of a connection.

use std::future::poll_fn;

use super::*;
use crate::prompt;
use crate::rewound::Rewound;

/// How long the last bytes of a dropped connection may take to be sent.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what the peer sent, and nobody will read, is taken in before the socket closes.
const DISCARD: usize = 16 * 64 * 1024;

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
            // received by then is lost. Session tickets (RFC 8446, 4.6.1) nearly always lie there unread.
            let _ = poll_discard(&mut encrypted, &mut cx);
            if tail && unsent {
                self.linger(encrypted);
            }
        }
        self.entry.close(if aborted {
            End::Aborted
        } else {
            std::mem::replace(&mut self.end, End::ByProgram)
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

/// Sends what is left, close_notify and the end of the stream, and waits for the peer's end. What the
/// peer says meanwhile is taken in, lest it stop reading because nobody listens.
async fn part(mut encrypted: Box<Encrypted>) {
    let sent = poll_fn(|cx| {
        let _ = poll_discard(&mut encrypted, cx);
        encrypted.poll_close_notify(cx)
    });
    if sent.await.is_err() {
        return;
    }
    let (stream, _) = encrypted.into_plain().into_parts();
    if stream.shutdown().is_ok() {
        let mut rest = Rewound::new(stream, Vec::new());
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

/// Takes in what there is to be read, within bounds. Ready at the end of the stream.
fn poll_discard(encrypted: &mut Encrypted, cx: &mut Context<'_>) -> Poll<()> {
    let mut left = DISCARD;
    while left > 0 {
        match std::task::ready!(encrypted.poll_read(cx, left)) {
            Ok(bytes) if !bytes.is_empty() => left = left.saturating_sub(bytes.len()),
            _ => return Poll::Ready(()),
        }
    }
    // There may be more: come again.
    cx.waker().wake_by_ref();
    Poll::Pending
}
