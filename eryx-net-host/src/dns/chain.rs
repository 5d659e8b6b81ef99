//! The resolver chain of a sandbox: `localhost`, then static hosts, then the configured resolver.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use eryx_net_policy::HostName;

use crate::dns::client::DnsResolver;
use crate::dns::resolver::{Answer, Resolve, Resolving};
use crate::dns::static_hosts::StaticHosts;
use crate::host_memory::HostMemory;

/// Resolves `localhost` to loopback (RFC 6761, 6.3), the embedder's static hosts to their
/// addresses, and all other names through the upstream resolver.
#[derive(Clone, Debug)]
pub(crate) struct ResolverChain {
    pub(crate) static_hosts: StaticHosts,
    pub(crate) upstream: Upstream,
}

/// The last resolver of a [`ResolverChain`].
#[derive(Clone, Debug)]
pub(crate) enum Upstream {
    Dns(DnsResolver),
    Custom(Arc<dyn Resolve>),
}

impl ResolverChain {
    /// Returns the same chain for one network. Its DNS client has limits of its own, and a cache
    /// that counts against `memory`; with `None` both chains share one cache. The embedder is
    /// responsible for the memory of a custom resolver.
    pub(crate) fn for_network(&self, memory: Option<HostMemory>) -> Self {
        Self {
            static_hosts: self.static_hosts.clone(),
            upstream: match &self.upstream {
                Upstream::Dns(resolver) => Upstream::Dns(resolver.for_network(memory)),
                Upstream::Custom(resolver) => Upstream::Custom(Arc::clone(resolver)),
            },
        }
    }
}

impl Resolve for ResolverChain {
    fn resolve(&self, name: &HostName) -> Resolving {
        if is_localhost(name) {
            let loopback = vec![
                IpAddr::from(Ipv6Addr::LOCALHOST),
                IpAddr::from(Ipv4Addr::LOCALHOST),
            ];
            return Box::pin(ready(Ok(Answer::from(loopback))));
        }
        match self.static_hosts.find(name) {
            Some(answer) => Box::pin(ready(Ok(answer))),
            None => match &self.upstream {
                Upstream::Dns(resolver) => resolver.resolve(name),
                Upstream::Custom(resolver) => resolver.resolve(name),
            },
        }
    }
}

/// Returns whether the name is always loopback (RFC 6761, 6.3).
pub(crate) fn is_localhost(name: &HostName) -> bool {
    let name: &str = name.as_ref();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_loopback_whatever_a_resolver_says() {
        let other = vec![IpAddr::from([192, 0, 2, 1])];
        let chain = ResolverChain {
            static_hosts: StaticHosts::new([
                ("localhost", other.clone()),
                ("x.localhost", other.clone()),
            ])
            .expect("valid"),
            upstream: Upstream::Custom(Arc::new(
                StaticHosts::new([("a.example", other)]).expect("valid"),
            )),
        };
        let name = |text: &str| HostName::parse(text).expect("a host name");
        for text in ["localhost", "x.localhost", "LOCALHOST."] {
            let answer = chain.resolve(&name(text)).await.expect("loopback");
            assert!(answer.addresses.iter().all(IpAddr::is_loopback), "{text}");
        }
        assert!(chain.resolve(&name("notlocalhost")).await.is_err());
        assert!(chain.resolve(&name("a.example")).await.is_ok());
    }
}
