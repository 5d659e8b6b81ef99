//! What name servers answered, for as long as it holds.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eryx_net_policy::HostName;
use tokio::time::Instant;

use crate::{Answer, Charge, HostMemory, ResolveError};

/// Most names that are kept. A program speaks to few hosts at a time, and one that asks for ever more names
/// gains nothing by a cache.
const MAX_NAMES: usize = 256;

/// Most bytes that are kept. The largest answer there may be takes about 9 KiB, a usual one 300 bytes.
const MAX_BYTES: usize = 256 << 10;

/// How long an answer is kept at most, whatever its time to live.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long it is remembered at most that a name is absent: it may be about to be made.
const LONGEST_ABSENT: Duration = Duration::from_secs(10);

/// Answers by name, bounded in number and in bytes. The oldest gives way.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Mutex<Entries>,
    /// What the answers count against; `None` where they are no single sandbox's.
    memory: Option<HostMemory>,
}

#[derive(Debug, Default)]
struct Entries {
    known: HashMap<HostName, Entry>,
    /// The names, the oldest first.
    order: VecDeque<HostName>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// `None`: the name does not exist, or has no address.
    answer: Option<Answer>,
    until: Instant,
    bytes: usize,
    _memory: Option<Charge>,
}

impl Cache {
    /// A cache whose answers count against `memory`. There is none where that is full.
    pub(super) fn counted(memory: HostMemory) -> Self {
        Self {
            entries: Mutex::default(),
            memory: Some(memory),
        }
    }

    /// What is known of `name`.
    pub(super) fn get(&self, name: &HostName) -> Option<Result<Answer, ResolveError>> {
        let mut entries = self.lock();
        let entry = entries.known.get(name)?;
        if entry.until <= Instant::now() {
            entries.remove(name);
            return None;
        }
        Some(entry.answer.clone().ok_or(ResolveError::NotFound))
    }

    /// Keeps `answer`, or that there is none, for `ttl`. Zero keeps nothing.
    pub(super) fn keep(&self, name: &HostName, answer: Option<&Answer>, ttl: Duration) {
        let longest = match answer {
            Some(_) => LONGEST,
            None => LONGEST_ABSENT,
        };
        let until = Instant::now() + ttl.min(longest);
        let mut entries = self.lock();
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
            until,
            bytes,
            _memory: charge,
        };
        entries.bytes += entry.bytes;
        entries.known.insert(name.clone(), entry);
        entries.order.push_back(name.clone());
        while entries.known.len() > MAX_NAMES || entries.bytes > MAX_BYTES {
            let Some(oldest) = entries.order.front().cloned() else {
                break;
            };
            entries.remove(&oldest);
        }
    }

    /// Does without where little is left, so that a program that is about to have what it asked for is not said
    /// to have reached a limit.
    fn charge(memory: &HostMemory, bytes: usize) -> Option<Charge> {
        let bytes = bytes as u64;
        let left = memory.max().saturating_sub(memory.used());
        (left >= bytes).then(|| memory.charge(bytes).ok()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Every change leaves the entries whole, so a panic elsewhere spoils nothing.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, name: &HostName) {
        if let Some(entry) = self.known.remove(name) {
            self.bytes -= entry.bytes;
            self.order.retain(|known| known != name);
        }
    }
}

/// How many bytes an entry takes, about. Its name is there twice.
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
    async fn an_answer_is_known_for_its_time_to_live_and_not_longer() {
        let cache = Cache::default();
        cache.keep(&name("a.example"), Some(&answer(2, 1)), TTL);
        cache.keep(&name("none.example"), None, TTL);
        cache.keep(&name("zero.example"), Some(&answer(1, 0)), Duration::ZERO);
        assert_eq!(cache.get(&name("A.example.")), Some(Ok(answer(2, 1))));
        assert_eq!(
            cache.get(&name("none.example")),
            Some(Err(ResolveError::NotFound))
        );
        assert_eq!(cache.get(&name("zero.example")), None);
        tokio::time::advance(LONGEST_ABSENT).await;
        assert_eq!(cache.get(&name("none.example")), None);
        assert!(cache.get(&name("a.example")).is_some());
        tokio::time::advance(TTL).await;
        assert_eq!(cache.get(&name("a.example")), None);
        assert_eq!(cache.lock().bytes, 0, "what has expired is not kept");
        cache.keep(&name("b.example"), Some(&answer(1, 0)), TTL * 10_000);
        tokio::time::advance(LONGEST).await;
        assert_eq!(cache.get(&name("b.example")), None);
    }

    #[tokio::test(start_paused = true)]
    async fn names_without_end_are_forgotten_the_oldest_first() {
        let cache = Cache::default();
        for n in 0..10_000 {
            cache.keep(&name(&format!("n{n}.example")), Some(&answer(1, 0)), TTL);
        }
        let entries = cache.lock();
        assert_eq!(entries.known.len(), MAX_NAMES);
        assert_eq!(entries.order.len(), MAX_NAMES);
        assert_eq!(entries.order[0], name("n9744.example"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_answers_are_kept_up_to_a_number_of_bytes() {
        let cache = Cache::default();
        for n in 0..500 {
            let name = name(&format!("n{n}.example"));
            cache.keep(&name, Some(&answer(256, 16)), TTL);
            assert!(cache.get(&name).is_some(), "the latest is always kept");
            let entries = cache.lock();
            assert!(entries.bytes <= MAX_BYTES);
            assert_eq!(entries.known.len(), entries.order.len());
        }
        assert!(cache.lock().known.len() > 20);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_count_against_the_memory_of_their_sandbox_and_not_beyond_it() {
        let memory = HostMemory::new(30_000);
        let cache = Cache::counted(memory.clone());
        for n in 0..10 {
            cache.keep(&name(&format!("n{n}.example")), Some(&answer(256, 16)), TTL);
        }
        assert_eq!(memory.used(), cache.lock().bytes as u64);
        assert!((20_000..=30_000).contains(&memory.used()));
        assert!(!memory.refused());
        tokio::time::advance(TTL).await;
        for n in 0..10 {
            assert_eq!(cache.get(&name(&format!("n{n}.example"))), None);
        }
        assert_eq!(memory.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_kept_again_is_counted_once() {
        let cache = Cache::default();
        for _ in 0..10_000 {
            cache.keep(&name("a.example"), Some(&answer(256, 16)), TTL);
        }
        let entries = cache.lock();
        assert_eq!((entries.known.len(), entries.order.len()), (1, 1));
        assert_eq!(
            entries.bytes,
            size(&name("a.example"), Some(&answer(256, 16)))
        );
    }
}
