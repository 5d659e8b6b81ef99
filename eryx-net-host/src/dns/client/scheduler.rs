//! The scheduler of DNS lookups of one sandbox: cache, shared lookups, rate limit and socket limit.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use eryx_net_policy::HostName;
use eryx_sync::Mutex;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use hickory_proto::rr::Name;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::address_families::{Outcome, query};
use super::cache::Cache;
use super::name_servers::NameServers;
use crate::dns::resolver::{Answer, ResolveError};
use crate::host_memory::HostMemory;
use crate::limits::rate_limiter::{RateLimitWait, RateLimiter};

/// The most sockets to name servers at the same time, one for each query: both families of three
/// names. A sandbox has these file descriptors, those of `max_connections`, and those of the spare
/// connection attempts.
const MAX_SOCKETS: usize = 6;

/// The most names that may be sent to name servers in a burst after an idle period. Far more than a
/// guest program connects to, and too few for a name server to take them for an attack.
const BURST: u64 = 256;

/// The most names that may be sent to name servers per second after that.
const PER_SECOND: u64 = 100;

/// The number of entries of the in-flight map at which those of finished lookups are removed.
const MAX_TRACKED: usize = 128;

type InFlight = BoxFuture<'static, Result<Answer, ResolveError>>;

/// The state that all DNS lookups of one sandbox share.
pub(super) struct LookupScheduler {
    cache: Arc<Cache>,
    /// Concurrent lookups of the same name share one query.
    in_flight: Mutex<HashMap<HostName, WeakShared<InFlight>>>,
    rate: RateLimiter,
    sockets: Semaphore,
}

impl LookupScheduler {
    fn with_cache(cache: Arc<Cache>) -> Self {
        Self {
            cache,
            in_flight: Mutex::default(),
            rate: RateLimiter::with_burst(PER_SECOND, BURST),
            sockets: Semaphore::new(MAX_SOCKETS),
        }
    }

    /// Returns a scheduler whose cache counts against `memory`.
    pub(super) fn counted(memory: HostMemory) -> Self {
        Self::with_cache(Arc::new(Cache::counted(memory)))
    }

    /// Returns a scheduler with limits of its own and the same cache.
    pub(super) fn with_same_cache(&self) -> Self {
        Self::with_cache(Arc::clone(&self.cache))
    }

    /// Returns the cached answer for `name`, the answer of a lookup in progress, or else that of
    /// `servers`, which are asked when the rate limit allows it. `absolute` is the name as a query
    /// has it.
    pub(super) async fn resolve(
        self: Arc<Self>,
        name: HostName,
        absolute: Name,
        servers: Arc<NameServers>,
    ) -> Result<Answer, ResolveError> {
        if let Some(cached) = self.cache.get(&name) {
            return cached;
        }
        self.join_or_start(name, absolute, servers).await
    }

    fn join_or_start(
        self: Arc<Self>,
        name: HostName,
        absolute: Name,
        servers: Arc<NameServers>,
    ) -> Shared<InFlight> {
        let mut in_flight = self.in_flight.lock();
        if let Some(lookup) = in_flight.get(&name).and_then(WeakShared::upgrade) {
            return lookup;
        }
        if in_flight.len() >= MAX_TRACKED {
            in_flight.retain(|_, lookup| lookup.upgrade().is_some());
        }
        let query = Arc::clone(&self).query_when_allowed(name.clone(), absolute, servers);
        let lookup = spawn_and_join(query).boxed().shared();
        if let Some(weak) = lookup.downgrade() {
            in_flight.insert(name, weak);
        }
        lookup
    }

    async fn query_when_allowed(
        self: Arc<Self>,
        name: HostName,
        absolute: Name,
        servers: Arc<NameServers>,
    ) -> Result<Answer, ResolveError> {
        let mut wait = RateLimitWait::default();
        poll_fn(|cx| wait.poll_acquire(cx, &self.rate, 1)).await;
        let Outcome { answer, ttl } = query(&servers, &self.sockets, absolute).await;
        match &answer {
            Ok(answer) if answer.exceeds_limits() => {}
            Ok(answer) => self.cache.insert(&name, Some(answer), ttl),
            Err(ResolveError::NotFound) => self.cache.insert(&name, None, ttl),
            Err(ResolveError::TryAgain(_)) => {}
        }
        answer
    }
}

/// Runs `lookup` in a task of its own and returns its result.
///
/// The lookup holds permits that other lookups wait for, so it has to make progress while the guest
/// program waits for something else. The task ends when its last waiter is dropped.
async fn spawn_and_join(
    lookup: impl Future<Output = Result<Answer, ResolveError>> + Send + 'static,
) -> Result<Answer, ResolveError> {
    let mut task = JoinSet::new();
    task.spawn(lookup);
    match task.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(ResolveError::TryAgain(error.to_string())),
        None => Err(ResolveError::TryAgain("the lookup was ended".into())),
    }
}

impl Default for LookupScheduler {
    fn default() -> Self {
        Self::with_cache(Arc::default())
    }
}

impl fmt::Debug for LookupScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupScheduler")
            .field("free_sockets", &self.sockets.available_permits())
            .finish_non_exhaustive()
    }
}
