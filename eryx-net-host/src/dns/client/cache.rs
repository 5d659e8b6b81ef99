//! The cache of DNS answers.

use std::mem::size_of;
use std::net::IpAddr;
use std::time::Duration;

use eryx_net_policy::HostName;
use eryx_sync::Mutex;
use tokio::time::Instant;

use crate::bounded_cache::BoundedCache;
use crate::dns::resolver::{Answer, ResolveError};
use crate::host_memory::{Charge, HostMemory};

/// The most names in the cache. A guest program connects to few hosts at a time, and one that looks
/// up ever more names gains nothing from a cache.
const MAX_NAMES: usize = 256;

/// The most bytes in the cache. The largest possible answer takes about 9 KiB, a usual one 300
/// bytes.
const MAX_BYTES: usize = 256 << 10;

/// The longest time that an answer stays in the cache, whatever its time to live.
const MAX_TTL: Duration = Duration::from_secs(60 * 60);

/// The longest time that the absence of a name stays in the cache: the name may be about to be
/// created.
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10);

/// Answers by name, bounded in number and in bytes. The oldest is evicted first.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Mutex<BoundedCache<HostName, Entry>>,
    /// The memory that the answers count against; `None` if several sandboxes share the cache.
    memory: Option<HostMemory>,
}

#[derive(Debug)]
struct Entry {
    /// `None`: the name does not exist.
    answer: Option<Answer>,
    expires: Instant,
    _memory: Option<Charge>,
}

impl Cache {
    /// Returns a cache whose answers count against `memory`. An answer that does not fit is not
    /// cached.
    pub(super) fn counted(memory: HostMemory) -> Self {
        Self {
            memory: Some(memory),
            ..Self::default()
        }
    }

    /// Returns the cached answer for `name`.
    pub(super) fn get(&self, name: &HostName) -> Option<Result<Answer, ResolveError>> {
        let mut entries = self.entries.lock();
        let entry = entries.get(name)?;
        if entry.expires <= Instant::now() {
            entries.remove(name);
            return None;
        }
        Some(entry.answer.clone().ok_or(ResolveError::NotFound))
    }

    /// Caches `answer`, or the absence of one, for `ttl`. A `ttl` of zero only removes the entry.
    pub(super) fn insert(&self, name: &HostName, answer: Option<&Answer>, ttl: Duration) {
        let max_ttl = match answer {
            Some(answer) if !answer.addresses.is_empty() => MAX_TTL,
            _ => MAX_NEGATIVE_TTL,
        };
        let expires = Instant::now() + ttl.min(max_ttl);
        let mut entries = self.entries.lock();
        entries.remove(name);
        if ttl.is_zero() {
            return;
        }
        let bytes = size(name, answer);
        let charge = match &self.memory {
            Some(memory) => match Self::charge(memory, bytes) {
                Some(charge) => Some(charge),
                None => return,
            },
            None => None,
        };
        let entry = Entry {
            answer: answer.cloned(),
            expires,
            _memory: charge,
        };
        entries.insert(name.clone(), entry, bytes);
    }

    /// Returns `None` when little memory is left, without recording a failed charge: the guest
    /// program gets its answer, so no limit stopped it.
    fn charge(memory: &HostMemory, bytes: usize) -> Option<Charge> {
        let bytes = bytes as u64;
        let left = memory.max().saturating_sub(memory.used());
        (left >= bytes).then(|| memory.charge(bytes).ok()).flatten()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            entries: Mutex::new(BoundedCache::new(MAX_NAMES, MAX_BYTES)),
            memory: None,
        }
    }
}

/// Returns about how many bytes an entry takes. It holds its name twice.
fn size(name: &HostName, answer: Option<&Answer>) -> usize {
    let name_size = |name: &HostName| size_of::<HostName>() + name.as_str().len();
    let answer_size = answer.map_or(0, |answer| {
        let aliases: usize = answer.aliases.iter().map(name_size).sum();
        aliases + answer.addresses.len() * size_of::<IpAddr>()
    });
    size_of::<Entry>() + 2 * name_size(name) + answer_size
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn name(text: &str) -> HostName {
        HostName::parse(text).expect("a host name")
    }

    fn answer(addresses: usize, aliases: usize) -> Answer {
        let long = format!("{0}.{0}.{0}.example", "a".repeat(60));
        Answer {
            addresses: vec![IpAddr::from([192, 0, 2, 1]); addresses],
            aliases: vec![name(&long); aliases],
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_cached_for_its_time_to_live_and_no_longer() {
        let cache = Cache::default();
        cache.insert(&name("a.example"), Some(&answer(2, 1)), TTL);
        cache.insert(&name("none.example"), None, TTL);
        cache.insert(&name("zero.example"), Some(&answer(1, 0)), Duration::ZERO);
        assert_eq!(cache.get(&name("A.example.")), Some(Ok(answer(2, 1))));
        assert_eq!(
            cache.get(&name("none.example")),
            Some(Err(ResolveError::NotFound))
        );
        assert_eq!(cache.get(&name("zero.example")), None);
        tokio::time::advance(MAX_NEGATIVE_TTL).await;
        assert_eq!(cache.get(&name("none.example")), None);
        assert!(cache.get(&name("a.example")).is_some());
        tokio::time::advance(TTL).await;
        assert_eq!(cache.get(&name("a.example")), None);
        assert_eq!(cache.entries.lock().bytes(), 0, "no expired entry is left");
        cache.insert(&name("b.example"), Some(&answer(1, 0)), TTL * 10_000);
        tokio::time::advance(MAX_TTL).await;
        assert_eq!(cache.get(&name("b.example")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_bound_on_names_the_oldest_are_evicted() {
        let cache = Cache::default();
        for n in 0..10_000 {
            cache.insert(&name(&format!("n{n}.example")), Some(&answer(1, 0)), TTL);
        }
        let entries = cache.entries.lock();
        assert_eq!(entries.iter().len(), MAX_NAMES);
        let oldest = entries.iter().next().map(|(name, _)| name.clone());
        assert_eq!(oldest, Some(name("n9744.example")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_answers_are_cached_up_to_a_number_of_bytes() {
        let cache = Cache::default();
        for n in 0..500 {
            let name = name(&format!("n{n}.example"));
            cache.insert(&name, Some(&answer(256, 16)), TTL);
            assert!(cache.get(&name).is_some(), "the latest is always cached");
            assert!(cache.entries.lock().bytes() <= MAX_BYTES);
        }
        assert!(cache.entries.lock().iter().len() > 20);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_count_against_the_memory_of_their_sandbox_and_not_beyond_it() {
        let memory = HostMemory::new(30_000);
        let cache = Cache::counted(memory.clone());
        for n in 0..10 {
            cache.insert(&name(&format!("n{n}.example")), Some(&answer(256, 16)), TTL);
        }
        assert_eq!(memory.used(), cache.entries.lock().bytes() as u64);
        assert!((20_000..=30_000).contains(&memory.used()));
        assert!(!memory.denied_charge());
        tokio::time::advance(TTL).await;
        for n in 0..10 {
            assert_eq!(cache.get(&name(&format!("n{n}.example"))), None);
        }
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_cached_again_counts_once() {
        let cache = Cache::default();
        for _ in 0..10_000 {
            cache.insert(&name("a.example"), Some(&answer(256, 16)), TTL);
        }
        let entries = cache.entries.lock();
        assert_eq!(entries.iter().len(), 1);
        assert_eq!(
            entries.bytes(),
            size(&name("a.example"), Some(&answer(256, 16)))
        );
    }
}
