//! Where a configuration gets addresses from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::NetConfig;
use crate::dns::chain::{ResolverChain, Upstream};
use crate::{ConfigError, DnsResolver, Resolve, StaticHosts};

/// Fixed names, and whom to ask about the others.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Names {
    fixed: StaticHosts,
    source: Source,
}

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Server(SocketAddr),
    Custom(Arc<dyn Resolve>),
}

impl NetConfig {
    /// The names with fixed addresses.
    #[must_use]
    pub fn hosts(&self) -> &StaticHosts {
        &self.names.fixed
    }

    /// With fixed addresses for some names, in place of those so far. They are judged like any others;
    /// other names are resolved as before.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Host`] for the first name that is none.
    pub fn with_hosts<N: AsRef<str>>(
        &self,
        hosts: impl IntoIterator<Item = (N, Vec<IpAddr>)>,
    ) -> Result<Self, ConfigError> {
        let fixed = StaticHosts::new(hosts)?;
        Ok(self.with_names(|names| names.fixed = fixed))
    }

    /// The one name server to ask, if it was set.
    #[must_use]
    pub fn dns_server(&self) -> Option<SocketAddr> {
        match &self.names.source {
            Source::Server(address) => Some(*address),
            Source::System | Source::Custom(_) => None,
        }
    }

    /// With one name server in place of those the system is configured for.
    #[must_use]
    pub fn with_dns_server(&self, address: SocketAddr) -> Self {
        self.with_names(|names| names.source = Source::Server(address))
    }

    /// With one name server given as text: an address such as `192.0.2.53`, or with a port other than 53
    /// `192.0.2.53:5353` or `[2001:db8::53]:5353`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NameServer`] for anything else.
    pub fn with_dns_server_at(&self, text: &str) -> Result<Self, ConfigError> {
        Ok(self.with_dns_server(parse_name_server(text)?))
    }

    /// With a resolver of the embedder's own. It is an object of the program: such a configuration cannot be
    /// written down.
    #[must_use]
    pub fn with_resolver(&self, resolver: Arc<dyn Resolve>) -> Self {
        self.with_names(|names| names.source = Source::Custom(resolver))
    }

    fn with_names(&self, change: impl FnOnce(&mut Names)) -> Self {
        let mut config = self.clone();
        change(&mut config.names);
        config.resolver = Arc::default();
        config
    }
}

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

/// Where name servers listen (IANA, service `domain`).
const DNS_PORT: u16 = 53;

impl Names {
    /// Whether a resolver of the embedder's own is asked.
    #[cfg(feature = "serde")]
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.source, Source::Custom(_))
    }

    pub(super) fn resolver(&self) -> ResolverChain {
        ResolverChain {
            static_hosts: self.fixed.clone(),
            upstream: match &self.source {
                Source::System => Upstream::Dns(DnsResolver::system()),
                Source::Server(address) => Upstream::Dns(DnsResolver::server(*address)),
                Source::Custom(resolver) => Upstream::Custom(Arc::clone(resolver)),
            },
        }
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::System, Self::System) => true,
            (Self::Server(own), Self::Server(theirs)) => own == theirs,
            (Self::Custom(own), Self::Custom(theirs)) => Arc::ptr_eq(own, theirs),
            _ => false,
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Names");
        debug.field("hosts", &self.fixed);
        match &self.source {
            Source::System => debug.field("source", &"the system's name servers"),
            Source::Server(address) => debug.field("source", address),
            Source::Custom(resolver) => debug.field("source", resolver),
        };
        debug.finish()
    }
}
