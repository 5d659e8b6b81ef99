//! The lookups of one sandbox: what it may ask of name servers at once and a second, and what it knows.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};

use eryx_net_policy::HostName;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cache::Cache;
use super::families::Outcome;
use crate::establish::{MAX_ADDRESSES, MAX_ALIASES};
use crate::pace::{Pace, Turn};
use crate::{Answer, HostMemory, ResolveError};

/// Most sockets to name servers at once, one for each question: both families of three names. Together with
/// `max_connections` and the spare attempts to connect this is what a sandbox holds of the process's
/// descriptors.
const MAX_SOCKETS: usize = 6;

/// How many names may be sent to name servers at once after a pause. Far more than a program speaks to, and
/// few enough that no name server takes it for an attack.
const BURST: u64 = 256;

/// How many names may be sent to name servers a second after that.
const PER_SECOND: u64 = 100;

/// How many lookups that may have ended are kept track of before those that have are forgotten.
const MAX_TRACKED: usize = 128;

type Asking = BoxFuture<'static, Result<Answer, ResolveError>>;

/// What lookups of one sandbox share.
pub(super) struct Lookups {
    cache: Arc<Cache>,
    /// One lookup of a name answers all that ask for it meanwhile.
    in_flight: Mutex<HashMap<HostName, WeakShared<Asking>>>,
    rate: Pace,
    pub(super) sockets: Semaphore,
}

impl Lookups {
    fn with_cache(cache: Arc<Cache>) -> Self {
        Self {
            cache,
            in_flight: Mutex::default(),
            rate: Pace::with_burst(PER_SECOND, BURST),
            sockets: Semaphore::new(MAX_SOCKETS),
        }
    }

    /// Bounds of their own, and a cache that counts against `memory`.
    pub(super) fn counted(memory: HostMemory) -> Self {
        Self::with_cache(Arc::new(Cache::counted(memory)))
    }

    /// Bounds of their own, and the same cache.
    pub(super) fn with_same_cache(&self) -> Self {
        Self::with_cache(Arc::clone(&self.cache))
    }

    /// The answer for `name`: what is known, what is being asked, or else what `ask` comes to, in its turn.
    pub(super) async fn answer<F>(
        self: Arc<Self>,
        name: HostName,
        ask: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<Answer, ResolveError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        if let Some(known) = self.cache.get(&name) {
            return known;
        }
        self.join(name, ask).await
    }

    fn join<F>(
        self: Arc<Self>,
        name: HostName,
        ask: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Shared<Asking>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        // Every change leaves the map whole, so a panic elsewhere spoils nothing.
        let mut in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(asking) = in_flight.get(&name).and_then(WeakShared::upgrade) {
            return asking;
        }
        if in_flight.len() >= MAX_TRACKED {
            in_flight.retain(|_, asking| asking.upgrade().is_some());
        }
        let asking = in_a_task(Arc::clone(&self).ask_in_turn(name.clone(), ask))
            .boxed()
            .shared();
        if let Some(weak) = asking.downgrade() {
            in_flight.insert(name, weak);
        }
        asking
    }

    async fn ask_in_turn<F>(
        self: Arc<Self>,
        name: HostName,
        ask: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<Answer, ResolveError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut turn = Turn::default();
        poll_fn(|cx| turn.poll_take(cx, &self.rate, 1)).await;
        let Outcome { answer, ttl } = ask(Arc::clone(&self)).await;
        match &answer {
            Ok(answer)
                if answer.addresses.len() > MAX_ADDRESSES || answer.aliases.len() > MAX_ALIASES => {
            }
            Ok(answer) => self.cache.keep(&name, Some(answer), ttl),
            Err(ResolveError::NotFound) => self.cache.keep(&name, None, ttl),
            Err(ResolveError::TryAgain(_)) => {}
        }
        answer
    }
}

/// What `asking` comes to, in a task of its own: it holds permits that others wait for, and has to go on while
/// the program waits for something else. The task ends when the last that waits for it is dropped.
async fn in_a_task(
    asking: impl Future<Output = Result<Answer, ResolveError>> + Send + 'static,
) -> Result<Answer, ResolveError> {
    let mut task = JoinSet::new();
    task.spawn(asking);
    match task.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(ResolveError::TryAgain(error.to_string())),
        None => Err(ResolveError::TryAgain("the lookup was ended".into())),
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self::with_cache(Arc::default())
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups")
            .field("free_sockets", &self.sockets.available_permits())
            .finish_non_exhaustive()
    }
}
