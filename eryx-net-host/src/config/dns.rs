//! DNS settings of a configuration: fixed addresses, and the resolver for the other names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::NetConfig;
use crate::config_error::ConfigError;
use crate::dns::chain::{self, ResolverChain};
use crate::dns::client::DnsResolver;
use crate::dns::resolver::Resolve;
use crate::dns::static_hosts::StaticHosts;

/// Fixed addresses of names, and the resolver for the others.
#[derive(Clone, Default, PartialEq)]
pub(super) struct DnsSettings {
    fixed: StaticHosts,
    upstream: Upstream,
}

#[derive(Clone, Default)]
enum Upstream {
    #[default]
    System,
    Server(SocketAddr),
    Custom(Arc<dyn Resolve>),
}

impl NetConfig {
    /// Returns the names with fixed addresses, which are never sent to a name server.
    #[must_use]
    pub fn hosts(&self) -> &StaticHosts {
        &self.dns.fixed
    }

    /// Returns a copy with fixed addresses for these names alone, in place of those before. The
    /// policy applies to them as to any others; other names are resolved as before.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`] for the first name that is malformed.
    pub fn with_hosts<N: AsRef<str>>(
        &self,
        hosts: impl IntoIterator<Item = (N, Vec<IpAddr>)>,
    ) -> Result<Self, ConfigError> {
        let fixed = StaticHosts::new(hosts)?;
        Ok(self.with_dns(|dns| dns.fixed = fixed))
    }

    /// Returns the address of the name server that is used in place of the system's, if there is
    /// one.
    #[must_use]
    pub fn dns_server(&self) -> Option<SocketAddr> {
        match &self.dns.upstream {
            Upstream::Server(address) => Some(*address),
            Upstream::System | Upstream::Custom(_) => None,
        }
    }

    /// Returns a copy with one name server in place of those the system is configured for.
    #[must_use]
    pub fn with_dns_server(&self, address: SocketAddr) -> Self {
        self.with_dns(|dns| dns.upstream = Upstream::Server(address))
    }

    /// Returns a copy with a resolver of the embedder's own. Such a configuration cannot be
    /// serialised.
    #[must_use]
    pub fn with_resolver(&self, resolver: Arc<dyn Resolve>) -> Self {
        self.with_dns(|dns| dns.upstream = Upstream::Custom(resolver))
    }

    fn with_dns(&self, change: impl FnOnce(&mut DnsSettings)) -> Self {
        let mut config = self.clone();
        change(&mut config.dns);
        config.resolver = Arc::default();
        config
    }
}

/// Parses an address with an optional port: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`.
#[cfg(feature = "serde")]
pub(super) fn parse_name_server(text: &str) -> Result<SocketAddr, ConfigError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(address), _) if address.port() != 0 => Ok(address),
        (_, Ok(address)) => Ok(SocketAddr::new(address, DNS_PORT)),
        _ => Err(ConfigError::NameServer(text.escape_debug().to_string())),
    }
}

/// The port of name servers (IANA, service `domain`).
#[cfg(feature = "serde")]
const DNS_PORT: u16 = 53;

impl DnsSettings {
    /// Returns whether the resolver is the embedder's own.
    #[cfg(feature = "serde")]
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.upstream, Upstream::Custom(_))
    }

    pub(super) fn resolver(&self) -> ResolverChain {
        ResolverChain {
            static_hosts: self.fixed.clone(),
            upstream: match &self.upstream {
                Upstream::System => chain::Upstream::Dns(DnsResolver::system()),
                Upstream::Server(address) => chain::Upstream::Dns(DnsResolver::server(*address)),
                Upstream::Custom(resolver) => chain::Upstream::Custom(Arc::clone(resolver)),
            },
        }
    }
}

impl PartialEq for Upstream {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, Self::System) => true,
            (Self::Server(own), Self::Server(theirs)) => own == theirs,
            (Self::Custom(own), Self::Custom(theirs)) => Arc::ptr_eq(own, theirs),
            _ => false,
        }
    }
}

impl fmt::Debug for DnsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DnsSettings");
        debug.field("hosts", &self.fixed);
        match &self.upstream {
            Upstream::System => debug.field("upstream", &"the system's name servers"),
            Upstream::Server(address) => debug.field("upstream", address),
            Upstream::Custom(resolver) => debug.field("upstream", resolver),
        };
        debug.finish()
    }
}
