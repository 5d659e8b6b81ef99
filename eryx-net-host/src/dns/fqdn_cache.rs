//! Which names an address was looked up under.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eryx_net_policy::HostName;

use crate::Charge;
use crate::attempts::Attempts;

/// Most addresses remembered. The one not looked up for longest goes first.
const MAX_ADDRESSES: usize = 512;

/// Most names remembered for one address. Many names share the addresses of a content network.
const MAX_NAMES: usize = 4;

/// Most bytes remembered, an origin counted for each of its addresses. With usual names and aliases the numbers
/// above come first; whoever runs a name server chooses long ones.
const MAX_BYTES: usize = 1 << 20;

/// A name that led to an address, with the aliases on the way, and the attempts to connect that followed.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) name: HostName,
    pub(crate) aliases: Vec<HostName>,
    pub(crate) attempts: Arc<Attempts>,
    /// For as long as it is remembered.
    pub(crate) _memory: Charge,
}

/// The addresses a sandbox has got from lookups, so that connecting to one of them counts as connecting
/// to the name it came from. Bounded: a program that looks up ever more names forgets the oldest.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The names of an address, the latest last.
    origins: HashMap<IpAddr, VecDeque<Arc<Origin>>>,
    /// The addresses, the latest last.
    order: VecDeque<IpAddr>,
    bytes: usize,
}

impl Remembered {
    /// Notes that a lookup of `origin` gave `addresses`.
    pub(crate) fn note(&self, origin: Origin, addresses: impl IntoIterator<Item = IpAddr>) {
        let origin = Arc::new(origin);
        let mut inner = self.lock();
        for address in addresses {
            inner.touch(address);
            inner.add(address, &origin);
            inner.trim();
        }
    }

    /// The names `address` was looked up under, the latest first.
    pub(crate) fn origins(&self, address: IpAddr) -> Vec<Arc<Origin>> {
        let mut inner = self.lock();
        if inner.origins.contains_key(&address) {
            inner.touch(address);
        }
        inner
            .origins
            .get(&address)
            .map(|names| names.iter().rev().cloned().collect())
            .unwrap_or_default()
    }

    /// The attempts to connect to `address` as the one `name` it was looked up under.
    pub(crate) fn attempts(&self, address: IpAddr, name: &HostName) -> Option<Arc<Attempts>> {
        let inner = self.lock();
        let names = inner.origins.get(&address)?;
        let origin = names.iter().find(|origin| origin.name == *name)?;
        Some(Arc::clone(&origin.attempts))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the maps usable at each step, so a panic elsewhere spoils nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn touch(&mut self, address: IpAddr) {
        self.order.retain(|known| *known != address);
        self.order.push_back(address);
    }

    fn add(&mut self, address: IpAddr, origin: &Arc<Origin>) {
        let names = self.origins.entry(address).or_default();
        let known = names.iter().position(|known| known.name == origin.name);
        let gone = match known {
            Some(known) => names.remove(known),
            None if names.len() == MAX_NAMES => names.pop_front(),
            None => None,
        };
        names.push_back(Arc::clone(origin));
        self.bytes += origin.size();
        self.bytes -= gone.map_or(0, |gone| gone.size());
    }

    fn trim(&mut self) {
        while self.order.len() > MAX_ADDRESSES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            let names = self.origins.remove(&oldest).unwrap_or_default();
            self.bytes -= names.iter().map(|origin| origin.size()).sum::<usize>();
        }
    }
}

impl Origin {
    /// How many bytes it takes, about.
    fn size(&self) -> usize {
        let size = |name: &HostName| size_of::<HostName>() + name.as_str().len();
        let aliases: usize = self.aliases.iter().map(size).sum();
        size_of::<Self>() + size(&self.name) + aliases
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    use tokio::time::Instant;

    use crate::HostMemory;

    fn origin(name: &str) -> Origin {
        Origin {
            name: name.parse().expect("a host name"),
            aliases: Vec::new(),
            attempts: Arc::new(Attempts::after_lookup(Instant::now())),
            _memory: HostMemory::default().charge(1).expect("fits"),
        }
    }

    fn names(remembered: &Remembered, address: IpAddr) -> Vec<String> {
        remembered
            .origins(address)
            .iter()
            .map(|origin| origin.name.to_string())
            .collect()
    }

    #[test]
    fn the_latest_name_of_an_address_comes_first_and_only_once() {
        let remembered = Remembered::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for name in ["a.example", "b.example", "a.example"] {
            remembered.note(origin(name), [address]);
        }
        assert_eq!(names(&remembered, address), ["a.example", "b.example"]);
        assert!(names(&remembered, [192, 0, 2, 2].into()).is_empty());
    }

    #[test]
    fn an_address_keeps_only_its_latest_names() {
        let remembered = Remembered::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for index in 0..10 {
            remembered.note(origin(&format!("n{index}.example")), [address]);
        }
        assert_eq!(
            names(&remembered, address),
            ["n9.example", "n8.example", "n7.example", "n6.example"]
        );
    }

    #[test]
    fn long_names_and_aliases_are_remembered_up_to_a_number_of_bytes() {
        let remembered = Remembered::default();
        let alias = format!("{0}.{0}.{0}.{0}.example", "a".repeat(60));
        for n in 0..2000_u32 {
            let mut origin = origin(&format!("n{n}.example"));
            origin.aliases = vec![alias.parse().expect("a host name"); 16];
            let first = n * 16;
            let addresses = (first..first + 64).map(|n| IpAddr::from(Ipv4Addr::from(n)));
            remembered.note(origin, addresses);
            let inner = remembered.lock();
            assert!(inner.bytes <= MAX_BYTES);
            let held = inner.origins.values().flatten();
            assert_eq!(inner.bytes, held.map(|origin| origin.size()).sum::<usize>());
            assert!(inner.origins.len() >= 64, "what a lookup gave is all there");
        }
    }

    #[test]
    fn the_address_unused_for_longest_is_forgotten_first() {
        let remembered = Remembered::default();
        let address = |n: u32| IpAddr::from(Ipv4Addr::from(n));
        for n in 0..MAX_ADDRESSES as u32 {
            remembered.note(origin("a.example"), [address(n)]);
        }
        remembered.origins(address(0));
        remembered.note(origin("b.example"), [address(1_000_000)]);
        assert!(!names(&remembered, address(0)).is_empty());
        assert!(names(&remembered, address(1)).is_empty());
        assert!(!names(&remembered, address(1_000_000)).is_empty());
    }
}
