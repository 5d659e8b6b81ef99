//! Static hosts: names resolved without DNS.

use std::collections::BTreeMap;
use std::future::ready;
use std::net::IpAddr;
use std::sync::Arc;

use eryx_net_policy::HostName;

use crate::config_error::ConfigError;
use crate::dns::resolver::{Answer, Resolve, ResolveError, Resolving};

/// A resolver for a fixed set of names.
///
/// ```
/// use eryx_net_host::{StaticHosts, NetConfig};
/// use std::sync::Arc;
///
/// let hosts = StaticHosts::new([("db.example", vec!["192.0.2.7".parse()?])])?;
/// let config = NetConfig::default().with_resolver(Arc::new(hosts));
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticHosts {
    addresses: Arc<BTreeMap<HostName, Vec<IpAddr>>>,
}

impl StaticHosts {
    /// Returns a map from names to their addresses.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`] for an invalid name; an address is not a name.
    pub fn new<N: AsRef<str>>(
        hosts: impl IntoIterator<Item = (N, Vec<IpAddr>)>,
    ) -> Result<Self, ConfigError> {
        let mut addresses = BTreeMap::new();
        for (name, list) in hosts {
            addresses.insert(HostName::parse(name.as_ref())?, list);
        }
        Ok(Self {
            addresses: Arc::new(addresses),
        })
    }

    /// Returns whether there is no name in the map.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Returns the names and their addresses, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&HostName, &[IpAddr])> {
        self.addresses
            .iter()
            .map(|(name, list)| (name, list.as_slice()))
    }

    pub(crate) fn contains(&self, name: &HostName) -> bool {
        self.addresses.contains_key(name)
    }

    pub(crate) fn find(&self, name: &HostName) -> Option<Answer> {
        self.addresses
            .get(name)
            .map(|list| Answer::from(list.clone()))
    }
}

impl Resolve for StaticHosts {
    fn resolve(&self, name: &HostName) -> Resolving {
        Box::pin(ready(self.find(name).ok_or(ResolveError::NotFound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_static_name_resolves_and_any_other_is_not_found() {
        let hosts =
            StaticHosts::new([("a.example", vec![IpAddr::from([192, 0, 2, 1])])]).expect("valid");
        let name = |text: &str| HostName::parse(text).expect("a host name");
        let answer = hosts.resolve(&name("A.Example.")).await.expect("found");
        assert_eq!(answer.addresses, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(
            hosts.resolve(&name("b.example")).await,
            Err(ResolveError::NotFound)
        );
    }

    #[test]
    fn an_invalid_name_is_an_error() {
        for text in ["", "a b", "192.0.2.1", "127.1", ".."] {
            assert!(StaticHosts::new([(text, vec![])]).is_err(), "{text}");
        }
    }
}
