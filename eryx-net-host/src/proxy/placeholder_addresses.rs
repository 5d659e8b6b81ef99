//! Placeholder addresses: what a lookup returns for a name that the proxy resolves.

use std::net::{IpAddr, Ipv4Addr};

use eryx_net_policy::HostName;
use eryx_sync::Mutex;

use crate::bounded_cache::BoundedCache;
use crate::host_memory::{Charge, HostMemory, HostMemoryFull};

/// The first address of the network for benchmarks, `198.18.0.0/15` (RFC 2544, appendix C.2.2),
/// which is not used on the internet.
const NETWORK: u32 = 0xc612_0000;

/// The number of addresses in it.
const ADDRESSES: u32 = 1 << 17;

/// The most names with a placeholder. The least recently used one is evicted first.
const MAX_NAMES: usize = 512;

/// The most bytes of the names.
const MAX_BYTES: usize = 256 << 10;

/// The placeholder addresses of one network: each stands for one name. A placeholder that was
/// evicted is not used again until 130,000 others were.
pub(crate) struct PlaceholderAddresses {
    state: Mutex<State>,
}

struct State {
    /// The two caches have the same entries.
    names: BoundedCache<Ipv4Addr, Name>,
    addresses: BoundedCache<HostName, Ipv4Addr>,
    next: u32,
}

struct Name {
    name: HostName,
    /// For as long as the name is in the cache.
    _memory: Charge,
}

impl PlaceholderAddresses {
    /// Returns the placeholder of `name`, the same for as long as it is in use.
    ///
    /// # Errors
    ///
    /// [`HostMemoryFull`] when there is no memory for another one.
    pub(crate) fn of_name(
        &self,
        name: &HostName,
        memory: &HostMemory,
    ) -> Result<IpAddr, HostMemoryFull> {
        let mut state = self.state.lock();
        if let Some(address) = state.addresses.get(name).copied() {
            state.addresses.touch(name);
            state.names.touch(&address);
            return Ok(address.into());
        }
        let bytes = size(name);
        let entry = Name {
            name: name.clone(),
            _memory: memory.charge(bytes as u64)?,
        };
        // Not the first and the last address of the network, which some libraries reject.
        state.next = state.next % (ADDRESSES - 2) + 1;
        let address = Ipv4Addr::from(NETWORK + state.next);
        state.names.insert(address, entry, bytes);
        state.addresses.insert(name.clone(), address, bytes);
        Ok(address.into())
    }

    /// Returns the name that `address` stands for.
    pub(crate) fn name_of(&self, address: IpAddr) -> Option<HostName> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        if u32::from(address).wrapping_sub(NETWORK) >= ADDRESSES {
            return None;
        }
        let mut state = self.state.lock();
        let name = state.names.get(&address)?.name.clone();
        state.names.touch(&address);
        state.addresses.touch(&name);
        Some(name)
    }
}

/// Returns about how many bytes a name takes: it is in both caches, twice in each.
fn size(name: &HostName) -> usize {
    4 * (size_of::<HostName>() + name.as_str().len() + 32)
}

impl Default for PlaceholderAddresses {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                names: BoundedCache::new(MAX_NAMES, MAX_BYTES),
                addresses: BoundedCache::new(MAX_NAMES, MAX_BYTES),
                next: 0,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_placeholder_stands_for_one_name() {
        let (addresses, memory) = (PlaceholderAddresses::default(), HostMemory::default());
        let of_name = |text| addresses.of_name(&name(text), &memory).expect("memory");
        let (a, b) = (of_name("a.example"), of_name("b.example"));
        assert_eq!((a, of_name("a.example")), ([198, 18, 0, 1].into(), a));
        assert_eq!(b, IpAddr::from([198, 18, 0, 2]));
        assert_eq!(addresses.name_of(b), Some(name("b.example")));
        for other in ["198.18.0.3", "198.17.255.255", "198.20.0.1", "::1"] {
            assert_eq!(addresses.name_of(other.parse().expect("an address")), None);
        }
    }

    #[test]
    fn names_and_their_memory_are_bounded_and_evicted_in_the_order_of_use() {
        let (addresses, memory) = (PlaceholderAddresses::default(), HostMemory::default());
        let of_name = |n: usize| {
            let name = name(&format!("n{n}.example"));
            addresses.of_name(&name, &memory).expect("memory")
        };
        let first = of_name(0);
        let second = of_name(1);
        for n in 2..MAX_NAMES {
            of_name(n);
        }
        addresses.name_of(first).expect("in use");
        of_name(MAX_NAMES);
        assert!(addresses.name_of(first).is_some());
        assert_eq!(addresses.name_of(second), None);
        let used = memory.used();
        for n in 0..2000 {
            of_name(n + 1000);
        }
        assert!(memory.used() <= used + 4096, "{used} {}", memory.used());
        assert_ne!(of_name(1), second, "a placeholder is not used again soon");
    }

    #[test]
    fn without_memory_there_is_no_placeholder() {
        let addresses = PlaceholderAddresses::default();
        let outcome = addresses.of_name(&name("a.example"), &HostMemory::new(10));
        assert!(outcome.is_err());
    }
}
