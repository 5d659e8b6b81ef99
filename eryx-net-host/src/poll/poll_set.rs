//! A set of sockets for one poll(2) call.

use std::time::Duration;

use rustix::event::{PollFd, Timespec};

use crate::poll::inline_wait::inline_wait_limit;

/// Sockets to check with one poll(2) call before any of them is polled by itself: of many
/// connections few are ready.
#[derive(Default)]
pub struct PollSet<'a> {
    sockets: Vec<PollFd<'a>>,
    /// For each item whether one of `sockets` belongs to it.
    has_socket: Vec<bool>,
}

/// A socket and the event to wait for, from
/// [`Connection::poll_item_readable`](crate::Connection::poll_item_readable).
pub struct PollItem<'a>(pub(crate) PollFd<'a>);

/// The result of [`PollSet::poll`]: which items may be ready. Items without a socket always may.
#[derive(Default)]
pub struct Readiness(pub(crate) Vec<bool>);

impl<'a> PollSet<'a> {
    /// Adds the next item. An item without a socket (`None`) counts as possibly ready.
    pub fn add(&mut self, item: Option<PollItem<'a>>) {
        self.has_socket.push(item.is_some());
        self.sockets.extend(item.map(|item| item.0));
    }

    /// Calls poll(2). If all items have sockets and none is ready, this thread blocks in the call
    /// for up to 50 µs, but no longer than `timeout`.
    pub fn poll(mut self, timeout: Option<Duration>) -> Readiness {
        let all_have_sockets = self.sockets.len() == self.has_socket.len();
        let limit = match timeout {
            Some(Duration::ZERO) => None,
            _ if self.sockets.is_empty() || !all_have_sockets => None,
            None => inline_wait_limit(),
            Some(timeout) => inline_wait_limit().map(|limit| limit.min(timeout)),
        };
        let limit = limit.unwrap_or_default();
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        if self.sockets.is_empty() || rustix::event::poll(&mut self.sockets, Some(&limit)).is_err()
        {
            return Readiness(vec![true; self.has_socket.len()]);
        }
        let mut ready = self
            .sockets
            .iter()
            .map(|socket| !socket.revents().is_empty());
        for item in &mut self.has_socket {
            *item = !*item || ready.next().unwrap_or(true);
        }
        Readiness(self.has_socket)
    }
}
