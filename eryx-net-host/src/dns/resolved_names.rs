//! A reverse cache from addresses to the names they were resolved from, so that a connection to an
//! address literal is checked as a connection to the name.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use eryx_net_policy::HostName;
use eryx_sync::Mutex;

use crate::bounded_cache::BoundedCache;
use crate::connect_budget::{ConnectBudget, Failures};
use crate::dns::resolver::Answer;
use crate::host_memory::{Charge, estimate};

/// The most addresses in the cache. The least recently used one is evicted first.
const MAX_ADDRESSES: usize = 512;

/// The most names that are stored per address. Many names share the addresses of a CDN.
const MAX_NAMES: usize = 4;

/// The most bytes in the cache. A name counts once for each of its addresses. Usual names and
/// aliases reach the other two bounds first; a hostile name server chooses long ones.
const MAX_BYTES: usize = 1 << 20;

/// A name that was resolved, its aliases, and the connect budget of the attempts that follow.
#[derive(Debug)]
pub(crate) struct ResolvedName {
    pub(crate) name: HostName,
    pub(crate) aliases: Vec<HostName>,
    pub(crate) connect_budget: Arc<ConnectBudget>,
    /// For as long as the name is in the cache.
    pub(crate) _memory: Charge,
}

/// The names of one address, the latest last.
type Names = VecDeque<Arc<ResolvedName>>;

/// The addresses that lookups of a sandbox returned, with their names.
#[derive(Debug)]
pub(crate) struct ResolvedNames {
    addresses: Mutex<BoundedCache<IpAddr, Names>>,
}

impl ResolvedNames {
    /// Adds a name that resolved to `addresses`.
    pub(crate) fn insert(
        &self,
        resolved: ResolvedName,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) {
        let resolved = Arc::new(resolved);
        let mut cache = self.addresses.lock();
        for address in addresses {
            let mut names = cache.remove(&address).unwrap_or_default();
            match names.iter().position(|other| other.name == resolved.name) {
                Some(same) => drop(names.remove(same)),
                None if names.len() == MAX_NAMES => drop(names.pop_front()),
                None => {}
            }
            names.push_back(Arc::clone(&resolved));
            let bytes = names.iter().map(|name| name.size()).sum();
            cache.insert(address, names, bytes);
        }
    }

    /// Returns a cache with the same names. They are charged once, until neither has them.
    pub(crate) fn fork(&self) -> Self {
        Self {
            addresses: Mutex::new(self.addresses.lock().clone()),
        }
    }

    /// Returns the names that resolved to `address`, the latest first.
    pub(crate) fn names_of(&self, address: IpAddr) -> Vec<Arc<ResolvedName>> {
        let mut cache = self.addresses.lock();
        cache.touch(&address);
        cache
            .get(&address)
            .map(|names| names.iter().rev().cloned().collect())
            .unwrap_or_default()
    }

    /// Returns the addresses to which the last connect failed, after the last lookup of `name` that
    /// returned one of `addresses`.
    pub(crate) fn failures(&self, name: &HostName, addresses: &[IpAddr]) -> Failures {
        let budget = addresses
            .iter()
            .find_map(|address| self.connect_budget(*address, name));
        budget.map(|budget| budget.failures()).unwrap_or_default()
    }

    /// Returns the connect budget of the lookup of `name` that returned `address`.
    pub(crate) fn connect_budget(
        &self,
        address: IpAddr,
        name: &HostName,
    ) -> Option<Arc<ConnectBudget>> {
        let cache = self.addresses.lock();
        let resolved = cache
            .get(&address)?
            .iter()
            .find(|resolved| resolved.name == *name)?;
        Some(Arc::clone(&resolved.connect_budget))
    }
}

impl Default for ResolvedNames {
    fn default() -> Self {
        Self {
            addresses: Mutex::new(BoundedCache::new(MAX_ADDRESSES, MAX_BYTES)),
        }
    }
}

impl ResolvedName {
    /// Returns the host memory of `name` with its answer, in bytes.
    pub(crate) fn memory(name: &HostName, answer: &Answer) -> u64 {
        let names = answer.aliases.iter().chain([name]);
        let names: usize = names
            .map(|name| name.as_str().len() + estimate::ELEMENT)
            .sum();
        // An address is in a hash table with spare capacity, and in the order of use.
        (names + answer.addresses.len() * 8 * estimate::ELEMENT + Failures::MEMORY) as u64
    }

    /// Returns about how many bytes it takes.
    fn size(&self) -> usize {
        let size = |name: &HostName| size_of::<HostName>() + name.as_str().len();
        let aliases: usize = self.aliases.iter().map(size).sum();
        size_of::<Self>() + Failures::MEMORY + size(&self.name) + aliases
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::Instant;

    use crate::host_memory::HostMemory;

    use super::*;

    fn resolved(name: &str) -> ResolvedName {
        ResolvedName {
            name: name.parse().expect("a host name"),
            aliases: Vec::new(),
            connect_budget: Arc::new(ConnectBudget::after_lookup(
                Instant::now(),
                Failures::default(),
            )),
            _memory: HostMemory::default().charge(1).expect("fits"),
        }
    }

    fn names(cache: &ResolvedNames, address: IpAddr) -> Vec<String> {
        cache
            .names_of(address)
            .iter()
            .map(|resolved| resolved.name.to_string())
            .collect()
    }

    #[test]
    fn the_latest_name_of_an_address_comes_first_and_only_once() {
        let cache = ResolvedNames::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for name in ["a.example", "b.example", "a.example"] {
            cache.insert(resolved(name), [address]);
        }
        assert_eq!(names(&cache, address), ["a.example", "b.example"]);
        assert!(names(&cache, [192, 0, 2, 2].into()).is_empty());
    }

    #[test]
    fn an_address_keeps_only_its_latest_names() {
        let cache = ResolvedNames::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for index in 0..10 {
            cache.insert(resolved(&format!("n{index}.example")), [address]);
        }
        assert_eq!(
            names(&cache, address),
            ["n9.example", "n8.example", "n7.example", "n6.example"]
        );
    }

    #[test]
    fn long_names_and_aliases_are_cached_up_to_a_number_of_bytes() {
        let cache = ResolvedNames::default();
        let alias = format!("{0}.{0}.{0}.{0}.example", "a".repeat(60));
        for n in 0..2000_u32 {
            let mut resolved = resolved(&format!("n{n}.example"));
            resolved.aliases = vec![alias.parse().expect("a host name"); 16];
            let first = n * 16;
            let addresses = (first..first + 64).map(|n| IpAddr::from(Ipv4Addr::from(n)));
            cache.insert(resolved, addresses);
            let addresses = cache.addresses.lock();
            assert!(addresses.bytes() <= MAX_BYTES);
            let names = addresses.iter().flat_map(|(_, names)| names);
            assert_eq!(
                addresses.bytes(),
                names.map(|name| name.size()).sum::<usize>()
            );
            assert!(
                addresses.iter().len() >= 64,
                "all addresses of the latest lookup are in the cache"
            );
        }
    }

    #[test]
    fn the_least_recently_used_address_is_evicted_first() {
        let cache = ResolvedNames::default();
        let address = |n: u32| IpAddr::from(Ipv4Addr::from(n));
        for n in 0..MAX_ADDRESSES as u32 {
            cache.insert(resolved("a.example"), [address(n)]);
        }
        cache.names_of(address(0));
        cache.insert(resolved("b.example"), [address(1_000_000)]);
        assert!(!names(&cache, address(0)).is_empty());
        assert!(names(&cache, address(1)).is_empty());
        assert!(!names(&cache, address(1_000_000)).is_empty());
    }
}
