//! The end of a connection.

use std::task::Waker;

use super::*;

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
            let mut cx = Context::from_waker(Waker::noop());
            let unsent = encrypted.poll_close_notify(&mut cx).is_pending();
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
    fn linger(&mut self, mut encrypted: Box<Encrypted>) {
        // Outside of a runtime nobody could wait: the socket closes, and the peer sees a truncated stream.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let permit = self.permit.take();
        let task = runtime.spawn(async move {
            let sent = std::future::poll_fn(|cx| encrypted.poll_close_notify(cx));
            // A peer that does not read in time loses the tail, as it would with a closed socket.
            let _ = tokio::time::timeout(LINGER, sent).await;
            drop(permit);
        });
        self.shared.linger(task.abort_handle());
    }
}
