//! The name servers that are asked, one after the other.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::exchange;
use super::question::{Question, Reply};
use crate::ResolveError;

/// Most servers that are asked, as in the system's own resolver (`MAXNS` in resolv.conf(5)).
const MAX_SERVERS: usize = 3;

/// How long a server has for its first reply. Each further round doubles it: packets get lost, and what a
/// server had to ask others for it has at hand the next time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Most rounds, whatever resolv.conf says.
const MAX_ROUNDS: u32 = 5;

/// Some name servers and how they are asked.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    longest_wait: Duration,
    rounds: u32,
    edns: bool,
    /// The one that answered last.
    preferred: AtomicUsize,
}

impl Servers {
    /// `attempts` is how often a silent server is asked again; no reply is waited for longer than
    /// `longest_wait`.
    pub(super) fn new(
        mut addresses: Vec<SocketAddr>,
        longest_wait: Duration,
        attempts: usize,
        edns: bool,
    ) -> Self {
        addresses.truncate(MAX_SERVERS);
        let rounds = u32::try_from(attempts).unwrap_or(MAX_ROUNDS);
        Self {
            addresses,
            longest_wait: longest_wait.max(FIRST_WAIT),
            rounds: rounds.saturating_add(1).min(MAX_ROUNDS),
            edns,
            preferred: AtomicUsize::new(0),
        }
    }

    /// Asks one server after the other, that which answered last first, until one knows. Those that are silent
    /// are asked again, and have more time. A permit of `sockets` is held while a socket is open.
    pub(super) async fn ask(
        &self,
        question: &Question,
        sockets: &Semaphore,
    ) -> Result<Reply, ResolveError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.addresses.len();
        let mut asked: Vec<usize> = (0..count).map(|offset| (first + offset) % count).collect();
        let mut failure = "there is no name server".to_owned();
        for round in 0..self.rounds {
            let wait = (FIRST_WAIT * (1 << round)).min(self.longest_wait);
            let mut silent = Vec::new();
            for index in asked {
                match self.try_one(index, question, sockets, wait).await {
                    Ok(Reply::Failed(reason)) => failure = reason,
                    Ok(reply) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                        failure = "the name server does not answer".into();
                        silent.push(index);
                    }
                    Err(error) => failure = format!("the name server cannot be asked: {error}"),
                }
            }
            if silent.is_empty() {
                break;
            }
            asked = silent;
        }
        Err(ResolveError::TryAgain(failure))
    }

    async fn try_one(
        &self,
        index: usize,
        question: &Question,
        sockets: &Semaphore,
        wait: Duration,
    ) -> std::io::Result<Reply> {
        let Some(server) = self.addresses.get(index).copied() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let permit = sockets.acquire().await.map_err(std::io::Error::other)?;
        let reply = exchange::ask(server, question, self.edns, wait).await;
        drop(permit);
        reply
    }
}
