//! The name servers, queried one after the other.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::exchange;
use super::message::{Question, Response};
use crate::dns::resolver::ResolveError;

/// The most servers that are queried: as many as the system's own resolver uses (`MAXNS` in
/// resolv.conf(5)).
const MAX_SERVERS: usize = 3;

/// The timeout of the first query to a server. Each further round doubles it: packets get lost, and
/// an answer that the server had to fetch from other servers is in its cache the next time.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);

/// The most rounds, whatever resolv.conf says.
const MAX_ROUNDS: u32 = 5;

/// A list of name servers with their retry settings.
#[derive(Debug)]
pub(super) struct NameServers {
    addresses: Vec<SocketAddr>,
    max_timeout: Duration,
    rounds: u32,
    edns: bool,
    /// The index of the server that answered last.
    preferred: AtomicUsize,
}

impl NameServers {
    /// Returns a list whose silent servers are queried `retries` more times, with timeouts of at
    /// most `max_timeout`.
    pub(super) fn new(
        mut addresses: Vec<SocketAddr>,
        max_timeout: Duration,
        retries: usize,
        edns: bool,
    ) -> Self {
        addresses.truncate(MAX_SERVERS);
        let rounds = u32::try_from(retries).unwrap_or(MAX_ROUNDS);
        Self {
            addresses,
            max_timeout: max_timeout.max(FIRST_TIMEOUT),
            rounds: rounds.saturating_add(1).min(MAX_ROUNDS),
            edns,
            preferred: AtomicUsize::new(0),
        }
    }

    /// Queries one server after the other, beginning with the one that answered last, until one has
    /// an answer. Queries silent servers again, with a longer timeout. Holds a permit of `sockets`
    /// while a socket is open.
    pub(super) async fn query(
        &self,
        question: &Question,
        sockets: &Semaphore,
    ) -> Result<Response, ResolveError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.addresses.len();
        let mut order: Vec<usize> = (0..count).map(|offset| (first + offset) % count).collect();
        let mut failure = "there is no name server".to_owned();
        for round in 0..self.rounds {
            let timeout = (FIRST_TIMEOUT * (1 << round)).min(self.max_timeout);
            let mut silent = Vec::new();
            for index in order {
                match self.query_server(index, question, sockets, timeout).await {
                    Ok(Response::Failed(reason)) => failure = reason,
                    Ok(response) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return Ok(response);
                    }
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        failure = "the name server does not answer".into();
                        silent.push(index);
                    }
                    Err(error) => failure = format!("the name server cannot be queried: {error}"),
                }
            }
            if silent.is_empty() {
                break;
            }
            order = silent;
        }
        Err(ResolveError::TryAgain(failure))
    }

    async fn query_server(
        &self,
        index: usize,
        question: &Question,
        sockets: &Semaphore,
        timeout: Duration,
    ) -> io::Result<Response> {
        let Some(server) = self.addresses.get(index).copied() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let permit = sockets.acquire().await.map_err(io::Error::other)?;
        let response = exchange::query(server, question, self.edns, timeout).await;
        drop(permit);
        response
    }
}
