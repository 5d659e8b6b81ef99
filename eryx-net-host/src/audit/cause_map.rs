//! A map by cause whose size a guest program cannot choose.

use std::collections::HashMap;
use std::hash::Hash;

use crate::audit::cause::Cause;

/// The most causes with a rule; a policy may have thousands of rules. Later rules share one entry
/// per reason, and reasons are a few dozen words.
const MAX_RULES: usize = 64;

/// A map from a key and a cause.
#[derive(Debug)]
pub(super) struct CauseMap<K, V> {
    map: HashMap<(K, Cause), V>,
    with_rule: usize,
}

impl<K, V> Default for CauseMap<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            with_rule: 0,
        }
    }
}

impl<K: Eq + Hash + Copy, V> CauseMap<K, V> {
    /// Returns the value of `key` and `cause`, or of `key` and the reason alone once there are 64
    /// causes with rules. `new` creates a missing value.
    pub(super) fn entry(&mut self, key: K, cause: Cause, new: impl FnOnce() -> V) -> &mut V {
        let mut key = (key, cause);
        if key.1.rule.is_some() && !self.map.contains_key(&key) {
            if self.with_rule == MAX_RULES {
                key.1 = Cause::without_rule(key.1.reason);
            } else {
                self.with_rule += 1;
            }
        }
        self.map.entry(key).or_insert_with(new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Cause, &V)> {
        self.map.iter().map(|((_, cause), value)| (cause, value))
    }

    pub(super) fn clear(&mut self) {
        self.map.clear();
        self.with_rule = 0;
    }
}
