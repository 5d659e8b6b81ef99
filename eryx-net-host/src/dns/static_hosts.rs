//! Names that are known without asking anyone.

use std::collections::BTreeMap;
use std::future::ready;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use eryx_net_policy::HostName;

use crate::{Answer, DnsResolver, HostMemory, Resolve, ResolveError, Resolving};

/// A resolver that knows the names it was given and no others.
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
    /// A map from names to their addresses.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`](crate::ConfigError::Host) for a name that is none; an address is no name.
    pub fn new<N: AsRef<str>>(
        hosts: impl IntoIterator<Item = (N, Vec<IpAddr>)>,
    ) -> Result<Self, crate::ConfigError> {
        let mut addresses = BTreeMap::new();
        for (name, list) in hosts {
            addresses.insert(HostName::parse(name.as_ref())?, list);
        }
        Ok(Self {
            addresses: Arc::new(addresses),
        })
    }

    /// Whether it knows no name at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The names and their addresses, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&HostName, &[IpAddr])> {
        self.addresses
            .iter()
            .map(|(name, list)| (name, list.as_slice()))
    }

    fn find(&self, name: &HostName) -> Option<Answer> {
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

/// What every sandbox asks: `localhost` is loopback (RFC 6761, 6.3), fixed names are what the embedder
/// says, and all others go to the next resolver.
#[derive(Clone, Debug)]
pub(crate) struct Layered {
    pub(crate) fixed: StaticHosts,
    pub(crate) next: Next,
}

/// Who resolves what is not known.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    Servers(DnsResolver),
    Custom(Arc<dyn Resolve>),
}

impl Layered {
    /// The same for one network: name servers have bounds for each, and a cache that counts against `memory`;
    /// without one, the cache is shared. What a resolver of the embedder's own holds is the embedder's business.
    pub(crate) fn for_network(&self, memory: Option<HostMemory>) -> Self {
        Self {
            fixed: self.fixed.clone(),
            next: match &self.next {
                Next::Servers(servers) => Next::Servers(servers.for_network(memory)),
                Next::Custom(resolver) => Next::Custom(Arc::clone(resolver)),
            },
        }
    }
}

impl Resolve for Layered {
    fn resolve(&self, name: &HostName) -> Resolving {
        if is_localhost(name) {
            let loopback = vec![
                IpAddr::from(Ipv6Addr::LOCALHOST),
                IpAddr::from(Ipv4Addr::LOCALHOST),
            ];
            return Box::pin(ready(Ok(Answer::from(loopback))));
        }
        match self.fixed.find(name) {
            Some(answer) => Box::pin(ready(Ok(answer))),
            None => match &self.next {
                Next::Servers(servers) => servers.resolve(name),
                Next::Custom(resolver) => resolver.resolve(name),
            },
        }
    }
}

fn is_localhost(name: &HostName) -> bool {
    let name: &str = name.as_ref();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> HostName {
        HostName::parse(text).expect("a host name")
    }

    fn fixed() -> StaticHosts {
        StaticHosts::new([("a.example", vec![IpAddr::from([192, 0, 2, 1])])]).expect("valid")
    }

    #[tokio::test]
    async fn a_fixed_name_answers_and_any_other_does_not_exist() {
        let hosts = fixed();
        let answer = hosts.resolve(&name("A.Example.")).await.expect("known");
        assert_eq!(answer.addresses, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(
            hosts.resolve(&name("b.example")).await,
            Err(ResolveError::NotFound)
        );
    }

    #[tokio::test]
    async fn localhost_is_loopback_whatever_a_resolver_says() {
        let lying = StaticHosts::new([
            ("localhost", vec![IpAddr::from([192, 0, 2, 1])]),
            ("x.localhost", vec![IpAddr::from([192, 0, 2, 1])]),
        ])
        .expect("valid");
        let layered = Layered {
            fixed: lying,
            next: Next::Custom(Arc::new(fixed())),
        };
        for text in ["localhost", "x.localhost", "LOCALHOST."] {
            let answer = layered.resolve(&name(text)).await.expect("loopback");
            assert!(answer.addresses.iter().all(IpAddr::is_loopback), "{text}");
        }
        assert!(layered.resolve(&name("notlocalhost")).await.is_err());
        assert!(layered.resolve(&name("a.example")).await.is_ok());
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        for text in ["", "a b", "192.0.2.1", "127.1", ".."] {
            assert!(StaticHosts::new([(text, vec![])]).is_err(), "{text}");
        }
    }
}
