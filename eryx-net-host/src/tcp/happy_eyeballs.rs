//! Happy eyeballs (RFC 8305): a race of attempts to connect to the addresses of one host.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::limits::semaphore::{Permit, Semaphore};

/// The most parallel attempts of one connection. Each holds a file descriptor.
const MAX_PARALLEL: usize = 4;

/// When attempts begin, and how many.
#[derive(Clone, Copy)]
pub(super) struct AttemptSchedule {
    /// How long to wait before the next address is tried in parallel.
    pub(super) delay: Duration,
    /// How long an attempt lasts at least before another may replace it.
    pub(super) min_attempt_time: Duration,
    pub(super) max_attempts: usize,
}

/// The error of an attempt.
pub(super) trait AttemptError {
    /// Returns the error of a race without an address.
    fn no_address() -> Self;

    /// Returns whether no other attempt can succeed.
    fn is_final(&self) -> bool;

    /// Returns how informative it is; the highest rank of all attempts is returned.
    fn rank(&self) -> u8;
}

impl AttemptError for io::Error {
    fn no_address() -> Self {
        io::ErrorKind::NetworkUnreachable.into()
    }

    fn is_final(&self) -> bool {
        false
    }

    fn rank(&self) -> u8 {
        match self.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => 2,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => 0,
            _ => 1,
        }
    }
}

/// Calls `connect` for the addresses in the given order, one after the delay of `schedule` or as
/// soon as one fails, and returns the first connection that is established.
///
/// The first attempt needs no permit; each parallel one takes a permit of `spare`. When there is
/// none left, or four attempts are in progress, the next attempt replaces the oldest once that has
/// lasted long enough.
///
/// If all attempts fail, the most informative error is returned: ECONNREFUSED over ENETUNREACH, so
/// that on a machine without IPv6 the error of the IPv4 attempt is returned.
pub(super) async fn race<C, E: AttemptError>(
    addresses: &[SocketAddr],
    schedule: AttemptSchedule,
    spare: &Semaphore,
    connect: impl Fn(SocketAddr) -> BoxFuture<'static, Result<C, E>>,
) -> Result<C, E> {
    let mut waiting = addresses.iter().copied().take(schedule.max_attempts);
    let mut running = Vec::with_capacity(MAX_PARALLEL);
    let mut failure: Option<E> = None;

    match waiting.next() {
        Some(first) => running.push(Attempt::begin(connect(first), None)),
        None => return Err(E::no_address()),
    }
    loop {
        let more_waiting = waiting.len() > 0;
        tokio::select! {
            biased;
            (ended, outcome) = first_end(&mut running) => match outcome {
                Ok(connected) => return Ok(connected),
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    failure = Some(more_informative(failure, error));
                    match waiting.next() {
                        Some(next) => running.push(Attempt::begin(connect(next), ended.spare)),
                        None if running.is_empty() => {
                            return Err(failure.unwrap_or_else(E::no_address));
                        }
                        None => {}
                    }
                }
            },
            () = tokio::time::sleep(schedule.delay), if more_waiting => {
                let Some(spare) = permit_for_next(&mut running, spare, schedule) else { continue };
                if let Some(next) = waiting.next() {
                    running.push(Attempt::begin(connect(next), spare));
                }
            }
        }
    }
}

/// An attempt in progress.
struct Attempt<C, E> {
    connect: BoxFuture<'static, Result<C, E>>,
    begun: Instant,
    /// `None` for the attempt that needs no permit.
    spare: Option<Permit>,
}

impl<C, E> Attempt<C, E> {
    fn begin(connect: BoxFuture<'static, Result<C, E>>, spare: Option<Permit>) -> Self {
        Self {
            connect,
            begun: Instant::now(),
            spare,
        }
    }
}

/// Waits until an attempt ends, and removes it.
async fn first_end<C, E>(running: &mut Vec<Attempt<C, E>>) -> (Attempt<C, E>, Result<C, E>) {
    poll_fn(|cx| {
        for index in 0..running.len() {
            if let Poll::Ready(outcome) = running[index].connect.as_mut().poll(cx) {
                return Poll::Ready((running.remove(index), outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns the permit of the next attempt (`Some(None)`: it needs none), or `None` while it has to
/// wait. Ends the oldest attempt if the next one replaces it.
fn permit_for_next<C, E>(
    running: &mut Vec<Attempt<C, E>>,
    spare: &Semaphore,
    schedule: AttemptSchedule,
) -> Option<Option<Permit>> {
    if running.len() < MAX_PARALLEL
        && let Some(permit) = spare.try_acquire()
    {
        return Some(Some(permit));
    }
    // Attempts are in the order in which they began.
    match running.first() {
        Some(oldest) if oldest.begun.elapsed() < schedule.min_attempt_time => None,
        Some(_) => Some(running.remove(0).spare),
        None => Some(None),
    }
}

fn more_informative<E: AttemptError>(earlier: Option<E>, later: E) -> E {
    match earlier {
        Some(earlier) if earlier.rank() >= later.rank() => earlier,
        _ => later,
    }
}
