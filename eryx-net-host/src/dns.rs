//! Name resolution: the resolver chain, the DNS client, the policy check of answers and the cache
//! of resolved names.

pub(crate) mod chain;
#[cfg(feature = "dns")]
pub(crate) mod client;
#[cfg(not(feature = "dns"))]
#[path = "dns/no_client.rs"]
pub(crate) mod client;
pub(crate) mod resolved_names;
pub(crate) mod resolver;
pub(crate) mod static_hosts;
