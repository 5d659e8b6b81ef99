//! A cache bounded in entries and in bytes, which evicts the oldest entries first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map from `K` to `V` with a bound on its entries and a bound on their bytes.
#[derive(Clone, Debug)]
pub(crate) struct BoundedCache<K, V> {
    entries: HashMap<K, (V, usize)>,
    /// The keys, the oldest first.
    order: VecDeque<K>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl<K: Clone + Eq + Hash, V> BoundedCache<K, V> {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            max_entries,
            max_bytes,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    /// Makes the entry of `key`, if there is one, the newest.
    pub(crate) fn touch(&mut self, key: &K) {
        if self.entries.contains_key(key) {
            self.order.retain(|other| other != key);
            self.order.push_back(key.clone());
        }
    }

    /// Adds an entry that takes `bytes`, as the newest and in place of an earlier one of the same
    /// key, and evicts the oldest entries until both bounds hold.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.remove(&key);
        self.bytes += bytes;
        self.entries.insert(key.clone(), (value, bytes));
        self.order.push_back(key);
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some(oldest) = self.order.front().cloned() else {
                break;
            };
            self.remove(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (value, bytes) = self.entries.remove(key)?;
        self.bytes -= bytes;
        self.order.retain(|other| other != key);
        Some(value)
    }
}

#[cfg(test)]
impl<K, V> BoundedCache<K, V> {
    /// Returns the bytes of all entries.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the keys and values, the oldest first.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)>
    where
        K: Eq + Hash,
    {
        assert_eq!(self.entries.len(), self.order.len());
        self.order.iter().map(|key| (key, &self.entries[key].0))
    }
}
