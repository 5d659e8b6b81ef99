//! A placeholder for the DNS client, in builds without the feature `dns`.

use std::future::ready;
use std::net::SocketAddr;

use eryx_net_policy::HostName;

use crate::dns::resolver::{Resolve, ResolveError, Resolving};
use crate::host_memory::HostMemory;

/// A resolver that resolves no name.
#[derive(Clone, Debug)]
pub(crate) struct DnsResolver;

impl DnsResolver {
    pub(crate) fn system() -> Self {
        Self
    }

    pub(crate) fn server(_: SocketAddr) -> Self {
        Self
    }

    pub(crate) fn for_network(&self, _: Option<HostMemory>) -> Self {
        Self
    }
}

impl Resolve for DnsResolver {
    fn resolve(&self, _: &HostName) -> Resolving {
        Box::pin(ready(Err(ResolveError::TryAgain(
            "eryx-net-host is built without its feature `dns`: set a resolver with \
             `NetConfig::with_resolver`"
                .into(),
        ))))
    }
}
