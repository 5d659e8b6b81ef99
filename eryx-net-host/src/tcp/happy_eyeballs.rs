//! Happy eyeballs (RFC 8305): dialling the addresses of one host in parallel.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::limits::semaphore::{Permit, Semaphore};
use crate::tcp::stream::{Interest, Stream};

/// The pace of TCP: the recommended "Connection Attempt Delay" (RFC 8305, 5), and the time after
/// which TCP retransmits a lost first packet (RFC 6298, 2.1).
const PACE: Pace = Pace {
    delay: Duration::from_millis(250),
    min_attempt_time: Duration::from_secs(1),
    max_attempts: MAX_ATTEMPTS,
};

/// The most addresses that are dialled for one connection. The policy has checked all addresses.
pub(super) const MAX_ATTEMPTS: usize = 32;

/// The most parallel attempts of one connection. Each holds a file descriptor.
const MAX_PARALLEL: usize = 4;

/// An established connection.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Dials `addresses` in the given order, a new one every 250 ms or as soon as one fails, and
/// returns the first connection that is established, as [`race`] does.
pub(crate) async fn dial(addresses: &[SocketAddr], spare: &Semaphore) -> io::Result<Connected> {
    if let [only] = addresses {
        return connect_one(*only).await;
    }
    race(addresses, PACE, spare, |address| {
        Box::pin(connect_one(address))
    })
    .await
}

/// When attempts begin, and how many.
#[derive(Clone, Copy)]
pub(super) struct Pace {
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

/// Calls `connect` for the addresses in the given order, one after the delay of `pace` or as soon
/// as one fails, and returns the first connection that is established.
///
/// The first attempt needs no permit; each parallel one takes a permit of `spare`. When there is
/// none left, or four attempts are in progress, the next attempt replaces the oldest once that has
/// lasted long enough.
///
/// If all attempts fail, the most informative error is returned: ECONNREFUSED over ENETUNREACH, so
/// that on a machine without IPv6 the error of the IPv4 attempt is returned.
pub(super) async fn race<C, E: AttemptError>(
    addresses: &[SocketAddr],
    pace: Pace,
    spare: &Semaphore,
    connect: impl Fn(SocketAddr) -> BoxFuture<'static, Result<C, E>>,
) -> Result<C, E> {
    let mut waiting = addresses.iter().copied().take(pace.max_attempts);
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
            () = tokio::time::sleep(pace.delay), if more_waiting => {
                let Some(spare) = permit_for_next(&mut running, spare, pace) else { continue };
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
    pace: Pace,
) -> Option<Option<Permit>> {
    if running.len() < MAX_PARALLEL
        && let Some(permit) = spare.try_acquire()
    {
        return Some(Some(permit));
    }
    // Attempts are in the order in which they began.
    match running.first() {
        Some(oldest) if oldest.begun.elapsed() < pace.min_attempt_time => None,
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

async fn connect_one(address: SocketAddr) -> io::Result<Connected> {
    let mut stream =
        Stream::connect(address).map_err(|error| normalize_without_ipv6(address, error))?;
    // Not `address`, which may be unspecified. A peer on this machine or nearby may have answered
    // by now: a socket that has a peer is connected.
    let peer = match stream.peer_address() {
        Ok(peer) => peer,
        Err(_) => {
            if !stream.wait_inline(Interest::Writable) {
                poll_fn(|cx| stream.poll_writable(cx)).await?;
            }
            stream.take_connect_error()?;
            stream.peer_address()?
        }
    };
    let local = stream.local_address()?;
    // TCP's simultaneous open lets a socket connect to itself when its local port is the one it
    // dials. No server listens there.
    if local == peer {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(Connected {
        stream,
        peer,
        local,
    })
}

/// Converts EADDRNOTAVAIL of an IPv6 connect to ENETUNREACH: Linux returns it on a machine without
/// IPv6. For an IPv4 connect it means that all ports are in use.
fn normalize_without_ipv6(address: SocketAddr, error: io::Error) -> io::Error {
    if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable {
        return io::ErrorKind::NetworkUnreachable.into();
    }
    error
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

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::*;

    #[tokio::test]
    async fn after_a_refused_address_the_next_is_dialled_at_once() {
        let open = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let closed = TcpListener::bind("127.0.0.2:0").await.expect("bind");
        let dead = closed.local_addr().expect("addr");
        drop(closed);
        let live = open.local_addr().expect("addr");
        let connected = tokio::time::timeout(
            Duration::from_secs(5),
            dial(&[dead, live], &Semaphore::new(2)),
        )
        .await
        .expect("does not hang")
        .expect("connects");
        assert_eq!(connected.peer, live);
    }

    #[tokio::test]
    #[allow(
        clippy::disallowed_methods,
        reason = "connects to a listener of the test"
    )]
    async fn an_address_that_answers_overtakes_a_silent_one() {
        // A listener whose backlog is full drops further SYNs, as a black hole would.
        let hole = TcpSocket::new_v4().expect("socket");
        hole.bind("127.0.0.2:0".parse().expect("addr"))
            .expect("bind");
        let hole = hole.listen(1).expect("listen");
        let silent = hole.local_addr().expect("addr");
        let mut backlog = Vec::new();
        for _ in 0..8 {
            let filler =
                tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(silent)).await;
            match filler {
                Ok(stream) => backlog.push(stream),
                Err(_) => break,
            }
        }
        let open = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let live = open.local_addr().expect("addr");
        let connected = tokio::time::timeout(
            Duration::from_secs(5),
            dial(&[silent, live], &Semaphore::new(2)),
        )
        .await
        .expect("does not wait for the silent one")
        .expect("connects");
        assert_eq!(connected.peer, live);
    }

    #[tokio::test]
    async fn if_all_addresses_fail_the_error_is_the_refusal_and_not_the_missing_route() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let dead = closed.local_addr().expect("addr");
        drop(closed);
        // The kernel rejects a TCP connect to a broadcast address.
        let nowhere = "255.255.255.255:9".parse().expect("addr");
        for order in [[dead, nowhere], [nowhere, dead]] {
            let error =
                tokio::time::timeout(Duration::from_secs(5), dial(&order, &Semaphore::new(2)))
                    .await
                    .expect("does not hang")
                    .expect_err("no server there");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn without_an_address_dialling_fails_at_once() {
        assert!(dial(&[], &Semaphore::new(2)).await.is_err());
    }
}
