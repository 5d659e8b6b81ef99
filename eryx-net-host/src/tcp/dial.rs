//! Dialling: a direct TCP connection to one of several addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::limits::semaphore::Semaphore;
use crate::tcp::attempt::{Connected, connect_one};
use crate::tcp::happy_eyeballs::{AttemptSchedule, race};

/// The schedule of TCP: the recommended "Connection Attempt Delay" (RFC 8305, 5), and the time
/// after which TCP retransmits a lost first packet (RFC 6298, 2.1).
const SCHEDULE: AttemptSchedule = AttemptSchedule {
    delay: Duration::from_millis(250),
    min_attempt_time: Duration::from_secs(1),
    max_attempts: MAX_ATTEMPTS,
};

/// The most addresses that are dialled for one connection. The policy has checked all addresses.
pub(super) const MAX_ATTEMPTS: usize = 32;

/// Dials `addresses` in the given order, a new one every 250 ms or as soon as one fails, and
/// returns the first connection that is established, as [`race`] does.
pub(super) async fn dial(addresses: &[SocketAddr], spare: &Semaphore) -> io::Result<Connected> {
    if let [only] = addresses {
        return connect_one(*only).await;
    }
    race(addresses, SCHEDULE, spare, |address| {
        Box::pin(connect_one(address))
    })
    .await
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
