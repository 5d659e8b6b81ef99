//! A map whose size a program does not decide.

use std::collections::HashMap;
use std::hash::Hash;

use super::cause::Cause;

/// Most causes with a rule that are told apart; a policy may have thousands of rules. Those that come later are counted
/// together with all others of the same reason, and reasons are a few dozen words.
pub(super) const MAX_RULES: usize = 64;

/// Something for each kind and cause.
#[derive(Debug)]
pub(super) struct Counts<K, V> {
    map: HashMap<(K, Cause), V>,
    with_rule: usize,
}

impl<K, V> Default for Counts<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            with_rule: 0,
        }
    }
}

impl<K: Eq + Hash + Copy, V> Counts<K, V> {
    /// Returns what is there for `kind` and `cause`, or for `kind` and its reason when there are [`MAX_RULES`] rules
    /// already; `new` makes it.
    pub(super) fn entry(&mut self, kind: K, cause: Cause, new: impl FnOnce() -> V) -> &mut V {
        let mut key = (kind, cause);
        if key.1.rule.is_some() && !self.map.contains_key(&key) {
            if self.with_rule == MAX_RULES {
                key.1 = key.1.without_rule();
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
