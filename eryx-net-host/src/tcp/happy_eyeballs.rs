//! Happy eyeballs (RFC 8305): dialling several addresses of one host as one.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::permit::{Allowance, Permit};
use crate::stream::{Event, Stream};

/// How long an attempt has the line for itself before the next address is tried beside it
/// (RFC 8305, 5: "Connection Attempt Delay", recommended value).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Most addresses dialled for one connection. What is left out was judged all the same.
const MAX_ATTEMPTS: usize = 32;

/// Most attempts of one connection at once: each holds a descriptor.
const MAX_AT_ONCE: usize = 4;

/// How long an attempt lasts before another may take its place. Where the first packet of a connection is
/// lost, the second follows after this time (RFC 6298, 2.1).
const LEAST_TIME: Duration = Duration::from_secs(1);

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) stream: Stream,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Dials `addresses` in the given order, a new one every 250 ms or as soon as one fails, and returns the
/// first connection that stands.
///
/// One attempt is the connection's own; each of the others takes one of `spare`. Where there is none left, or
/// four are under way, the oldest ends for the next, once it has had a second.
///
/// When all fail, the error is the one that says most: a peer that answered "refused" beats a route that
/// does not exist, so that a machine without IPv6 still hears what its IPv4 attempt met.
pub(crate) async fn dial(addresses: &[SocketAddr], spare: &Allowance) -> io::Result<Dialled> {
    if let [only] = addresses {
        return attempt(*only).await;
    }
    let mut waiting = addresses.iter().copied().take(MAX_ATTEMPTS);
    let mut running = Vec::with_capacity(MAX_AT_ONCE);
    let mut failure: Option<io::Error> = None;

    match waiting.next() {
        Some(first) => running.push(Running::begin(first, None)),
        None => return Err(io::ErrorKind::NetworkUnreachable.into()),
    }
    loop {
        let more_waiting = waiting.len() > 0;
        tokio::select! {
            biased;
            (ended, outcome) = first_end(&mut running) => match outcome {
                Ok(dialled) => return Ok(dialled),
                Err(error) => {
                    failure = Some(more_telling(failure, error));
                    match waiting.next() {
                        Some(next) => running.push(Running::begin(next, ended.spare)),
                        None if running.is_empty() => {
                            return Err(failure.unwrap_or_else(|| io::ErrorKind::TimedOut.into()));
                        }
                        None => {}
                    }
                }
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if more_waiting => {
                let Some(spare) = room(&mut running, spare) else { continue };
                if let Some(next) = waiting.next() {
                    running.push(Running::begin(next, spare));
                }
            }
        }
    }
}

/// An attempt under way.
struct Running {
    attempt: BoxFuture<'static, io::Result<Dialled>>,
    begun: Instant,
    /// `None`: the connection's own.
    spare: Option<Permit>,
}

impl Running {
    fn begin(address: SocketAddr, spare: Option<Permit>) -> Self {
        Self {
            attempt: Box::pin(attempt(address)),
            begun: Instant::now(),
            spare,
        }
    }
}

/// Waits until one of them ends, and takes it out.
async fn first_end(running: &mut Vec<Running>) -> (Running, io::Result<Dialled>) {
    poll_fn(|cx| {
        for index in 0..running.len() {
            if let Poll::Ready(outcome) = running[index].attempt.as_mut().poll(cx) {
                return Poll::Ready((running.remove(index), outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// What one more attempt is to hold; `None` while there is no room for it. Ends the oldest if it has to.
fn room(running: &mut Vec<Running>, spare: &Allowance) -> Option<Option<Permit>> {
    if running.len() < MAX_AT_ONCE
        && let Some(permit) = spare.take()
    {
        return Some(Some(permit));
    }
    // They begin one after the other.
    match running.first() {
        Some(oldest) if oldest.begun.elapsed() < LEAST_TIME => None,
        Some(_) => Some(running.remove(0).spare),
        None => Some(None),
    }
}

fn more_telling(earlier: Option<io::Error>, later: io::Error) -> io::Error {
    match earlier {
        Some(earlier) if telling(&earlier) >= telling(&later) => earlier,
        _ => later,
    }
}

/// The order to try addresses in: families interleaved, IPv6 first (RFC 8305, 4), each family in the
/// order the resolver gave.
pub(crate) fn interleave<T: Copy>(addresses: &[T], is_ipv6: impl Fn(T) -> bool) -> Vec<T> {
    let mut six = addresses.iter().copied().filter(|a| is_ipv6(*a));
    let mut four = addresses.iter().copied().filter(|a| !is_ipv6(*a));
    let mut order = Vec::with_capacity(addresses.len());
    loop {
        let pair = (six.next(), four.next());
        order.extend(pair.0);
        order.extend(pair.1);
        if pair.0.is_none() && pair.1.is_none() {
            return order;
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<Dialled> {
    let mut stream = Stream::connect(address).map_err(|error| without_ipv6(address, error))?;
    // Not `address`, where that is none in particular. The next machine over, or this one, may have
    // answered by now: who has a peer is connected.
    let peer = match stream.peer_address() {
        Ok(peer) => peer,
        Err(_) => {
            if !stream.linger(Event::Writable) {
                poll_fn(|cx| stream.poll_writable(cx)).await?;
            }
            stream.connected()?;
            stream.peer_address()?
        }
    };
    let local = stream.local_address()?;
    // TCP's simultaneous open lets a socket connect to itself when the port it picked is the one it
    // dials. Nobody listens there.
    if local == peer {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(Dialled {
        stream,
        peer,
        local,
    })
}

/// What Linux answers to an IPv6 connect on a machine without IPv6 means the same as a missing route. To an IPv4
/// connect, it says that all ports are taken.
fn without_ipv6(address: SocketAddr, error: io::Error) -> io::Error {
    if address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable {
        return io::ErrorKind::NetworkUnreachable.into();
    }
    error
}

fn telling(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => 2,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("a literal");
        let table: [(&[&str], &[&str]); 4] = [
            (&["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"]),
            (
                &["1.1.1.1", "2.2.2.2", "::1", "::2", "::3"],
                &["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"],
            ),
            (&["1.1.1.1", "::1"], &["::1", "1.1.1.1"]),
            (&[], &[]),
        ];
        for (given, expected) in table {
            let given: Vec<_> = given.iter().map(|a| ip(a)).collect();
            let expected: Vec<_> = expected.iter().map(|a| ip(a)).collect();
            assert_eq!(interleave(&given, |a| a.is_ipv6()), expected);
        }
    }

    #[tokio::test]
    async fn a_refused_address_gives_way_to_the_next_at_once() {
        let open = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let closed = TcpListener::bind("127.0.0.2:0").await.expect("bind");
        let dead = closed.local_addr().expect("addr");
        drop(closed);
        let live = open.local_addr().expect("addr");
        let dialled = tokio::time::timeout(
            Duration::from_secs(5),
            dial(&[dead, live], &Allowance::new(2)),
        )
        .await
        .expect("does not hang")
        .expect("connects");
        assert_eq!(dialled.peer, live);
    }

    #[tokio::test]
    async fn a_silent_address_is_overtaken() {
        // A listener whose backlog is full drops further SYNs, as a black hole would.
        let hole = TcpSocket::new_v4().expect("socket");
        hole.bind("127.0.0.2:0".parse().expect("addr"))
            .expect("bind");
        let hole = hole.listen(1).expect("listen");
        let silent = hole.local_addr().expect("addr");
        let mut stuffing = Vec::new();
        for _ in 0..8 {
            let stuffed =
                tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(silent)).await;
            match stuffed {
                Ok(stream) => stuffing.push(stream),
                Err(_) => break,
            }
        }
        let open = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let live = open.local_addr().expect("addr");
        let dialled = tokio::time::timeout(
            Duration::from_secs(5),
            dial(&[silent, live], &Allowance::new(2)),
        )
        .await
        .expect("does not wait for the silent one")
        .expect("connects");
        assert_eq!(dialled.peer, live);
    }

    #[tokio::test]
    async fn when_all_fail_the_refusal_is_told_and_not_the_missing_route() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let dead = closed.local_addr().expect("addr");
        drop(closed);
        // The system itself answers that TCP cannot reach a broadcast address.
        let nowhere = "255.255.255.255:9".parse().expect("addr");
        for order in [[dead, nowhere], [nowhere, dead]] {
            let error =
                tokio::time::timeout(Duration::from_secs(5), dial(&order, &Allowance::new(2)))
                    .await
                    .expect("does not hang")
                    .expect_err("nobody there");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[tokio::test]
    async fn no_address_is_an_error_and_not_a_wait() {
        assert!(dial(&[], &Allowance::new(2)).await.is_err());
    }
}
