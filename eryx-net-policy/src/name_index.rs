//! Finding the patterns that match a name among very many.

use std::collections::HashMap;

use crate::{
    name::HostName,
    pattern::{HostPattern, Target},
    port::PortRange,
};

/// A map from names to the patterns written for them. A name is looked up by itself and by its ancestors,
/// so the cost depends on its labels, not on the number of patterns.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameIndex {
    patterns: HashMap<HostName, Patterns>,
    /// The most labels a `*.name` pattern has: ancestors longer than that need no look.
    deepest: usize,
}

#[derive(Clone, Debug, Default)]
struct Patterns {
    exact: Vec<PortRange>,
    below: Vec<PortRange>,
}

impl NameIndex {
    pub(crate) fn insert_exact(&mut self, name: HostName, ports: PortRange) {
        self.patterns.entry(name).or_default().exact.push(ports);
    }

    pub(crate) fn insert_below(&mut self, parent: HostName, ports: PortRange) {
        self.deepest = self.deepest.max(parent.depth());
        self.patterns.entry(parent).or_default().below.push(ports);
    }

    /// The patterns that match `name`, the most specific first.
    pub(crate) fn matching<'a>(
        &'a self,
        name: &'a HostName,
    ) -> impl Iterator<Item = HostPattern> + 'a {
        let exact = self.patterns.get_key_value(name.as_str());
        let exact = exact.into_iter().flat_map(|(own, patterns)| {
            let target = Target::Name(own.clone());
            patterns
                .exact
                .iter()
                .map(move |p| HostPattern::new(target.clone(), *p))
        });
        let too_deep = (name.depth() - 1).saturating_sub(self.deepest);
        let ancestors = name.ancestors().skip(too_deep);
        let below = ancestors
            .filter_map(|ancestor| self.patterns.get_key_value(ancestor))
            .flat_map(|(parent, patterns)| {
                let target = Target::Below(parent.clone());
                patterns
                    .below
                    .iter()
                    .map(move |p| HostPattern::new(target.clone(), *p))
            });
        exact.chain(below)
    }
}
