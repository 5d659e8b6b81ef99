//! Polling an operation inline: without the reactor, for as long as its bytes are about to arrive.

use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::NetError;
use crate::poll::inline_wait::INLINE_WAIT;
use crate::poll::noop_waker::noop_waker;
use crate::poll::operation_timeout::OperationTimeout;
use crate::tcp::connection::Connection;
use crate::tcp::lazy_tcp_stream::Interest;
use crate::tcp::state::State;

/// The most inline waits of one operation: a TLS record or a handshake flight may arrive in parts.
const MAX_INLINE_WAITS: u32 = 4;

// An operation polls before each inline wait and once more before it yields to the runtime. Bytes
// that lead to no plaintext must not keep it from yielding for longer than 256 KiB take.
const _: () = assert!((MAX_INLINE_WAITS as usize + 1) * eryx_tls::POLL_LIMIT <= 256 * 1024);

impl Connection {
    /// Polls an operation inline, and then until it is ready or the timeout passes: that of the
    /// caller, at most `ceiling`.
    pub(super) async fn run_inline_first<T>(
        &mut self,
        timeout: Option<Duration>,
        ceiling: Duration,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<T, NetError>>,
    ) -> Result<T, NetError> {
        if let Some(outcome) = self.poll_inline(timeout, &mut poll) {
            return outcome;
        }
        OperationTimeout::new(timeout, ceiling)
            .run(|cx| poll(self, cx))
            .await
    }

    /// Polls without waiting, and again after each inline wait in which bytes have arrived. Returns
    /// `None` if that was not enough.
    pub(super) fn poll_inline<T>(
        &mut self,
        timeout: Option<Duration>,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<T, NetError>>,
    ) -> Option<Result<T, NetError>> {
        // The caller's timeout is shorter than the inline waits.
        if timeout.is_some_and(|timeout| timeout < INLINE_WAIT * MAX_INLINE_WAITS) {
            return None;
        }
        let mut cx = Context::from_waker(noop_waker());
        for _ in 0..MAX_INLINE_WAITS {
            if let Poll::Ready(outcome) = poll(self, &mut cx) {
                return Some(outcome);
            }
            if self.yielded() {
                // More is available at once; the operation continues after a yield.
                return None;
            }
            if !self
                .transport_mut()?
                .tcp_mut()
                .wait_inline(Interest::Readable)
            {
                return None;
            }
        }
        None
    }

    /// Returns whether the last poll stopped at its work limit, so that more may be available at
    /// once.
    fn yielded(&self) -> bool {
        match &self.state {
            State::Open(plain) => plain.transport().yielded(),
            State::Handshaking(handshake) => handshake.yielded(),
            State::Tls(tls) => tls.yielded(),
            State::Inspected(inspected) => inspected.yielded(),
            _ => false,
        }
    }
}
