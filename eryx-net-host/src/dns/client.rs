//! The DNS client: the system's name servers and hosts file, or one given name server.

mod address_families;
mod cache;
mod exchange;
mod message;
mod name_servers;
mod scheduler;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use eryx_net_policy::HostName;
use eryx_sync::Mutex;
use hickory_proto::op::Query;
use hickory_proto::rr::{Name, RecordType};
use hickory_resolver::Hosts;
use hickory_resolver::system_conf::read_system_conf;
use tokio::runtime::Handle;

use crate::dns::resolver::{Answer, Resolve, ResolveError, Resolving};
use crate::host_memory::HostMemory;
use name_servers::NameServers;
use scheduler::LookupScheduler;

/// The longest timeout of a query to a given name server, and how many retries follow: the defaults
/// of resolv.conf(5).
const MAX_TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES: usize = 2;

/// Top-level domains that do not exist in the DNS (RFC 6761, 6.4; RFC 7686, 2).
const NOT_IN_DNS: [&str; 2] = ["invalid", "onion"];

/// A resolver that sends queries to name servers: those of the system's configuration, or a given
/// one.
///
/// The system's hosts file takes precedence. Names are absolute, so no search list applies.
///
/// Its resources are bounded. Answers are cached for their time to live, at most one hour, and the
/// absence of a name at most 10 seconds: 256 names and 256 KiB. At most six queries run at the same
/// time, each on a socket of its own; others wait. A burst of 256 names may be sent to name
/// servers, and then 100 per second. A message of more than 8 KiB is rejected. Under a
/// [`NetConfig`](crate::NetConfig) without a custom resolver, these bounds apply to each
/// [`Network`](crate::Network).
#[derive(Clone, Debug)]
pub struct DnsResolver {
    config: Arc<Config>,
    scheduler: Arc<LookupScheduler>,
}

#[derive(Debug)]
struct Config {
    upstream: Upstream,
    /// `None` until the first name is resolved.
    loaded: Mutex<Option<LoadedServers>>,
}

/// Where the name servers come from.
#[derive(Clone, Copy, Debug)]
enum Upstream {
    System,
    Server(SocketAddr),
}

/// The name servers and the hosts file.
#[derive(Clone, Debug)]
struct LoadedServers {
    name_servers: Arc<NameServers>,
    hosts: Arc<Hosts>,
}

impl DnsResolver {
    /// Returns a resolver for the system's name servers and hosts file, which are read when the
    /// first name is resolved.
    #[must_use]
    pub fn system() -> Self {
        Self::from(Upstream::System)
    }

    /// Returns a resolver for one name server, over UDP and TCP. It does not read the system's
    /// hosts file.
    #[must_use]
    pub fn server(address: SocketAddr) -> Self {
        Self::from(Upstream::Server(address))
    }

    /// Returns a resolver for the same name servers with bounds of its own, and a cache that counts
    /// against `memory`. With `None`, both resolvers share one cache.
    pub(crate) fn for_network(&self, memory: Option<HostMemory>) -> Self {
        Self {
            config: Arc::clone(&self.config),
            scheduler: Arc::new(match memory {
                Some(memory) => LookupScheduler::counted(memory),
                None => self.scheduler.with_same_cache(),
            }),
        }
    }
}

impl From<Upstream> for DnsResolver {
    fn from(upstream: Upstream) -> Self {
        Self {
            config: Arc::new(Config {
                upstream,
                loaded: Mutex::default(),
            }),
            scheduler: Arc::default(),
        }
    }
}

impl Resolve for DnsResolver {
    fn resolve(&self, name: &HostName) -> Resolving {
        let config = Arc::clone(&self.config);
        let scheduler = Arc::clone(&self.scheduler);
        let name = name.clone();
        Box::pin(async move {
            if Handle::try_current().is_err() {
                return Err(ResolveError::TryAgain(
                    "names are resolved inside a tokio runtime".into(),
                ));
            }
            let absolute = absolute(&name)?;
            let loaded = config.load()?;
            if let Some(answer) = loaded.lookup_hosts_file(&absolute) {
                return Ok(answer);
            }
            if is_not_in_dns(&name) {
                return Err(ResolveError::NotFound);
            }
            scheduler.resolve(name, absolute, loaded.name_servers).await
        })
    }
}

impl Config {
    fn load(&self) -> Result<LoadedServers, ResolveError> {
        let mut loaded = self.loaded.lock();
        if let Some(loaded) = &*loaded {
            return Ok(loaded.clone());
        }
        Ok(loaded.insert(self.upstream.load()?).clone())
    }
}

impl Upstream {
    fn load(self) -> Result<LoadedServers, ResolveError> {
        let (name_servers, hosts) = match self {
            Self::System => {
                let (config, options) = read_system_conf().map_err(|error| {
                    ResolveError::TryAgain(format!(
                        "no name server can be used ({error}); see the system's resolver \
                         configuration, or set with_dns_server or with_hosts"
                    ))
                })?;
                let addresses = config
                    .name_servers()
                    .iter()
                    .map(|server| {
                        let port = server.connections.first().map_or(53, |first| first.port);
                        SocketAddr::new(server.ip, port)
                    })
                    .collect();
                (
                    NameServers::new(addresses, options.timeout, options.attempts, options.edns0),
                    // A missing hosts file counts as an empty one.
                    Hosts::from_system().unwrap_or_default(),
                )
            }
            Self::Server(address) => (
                NameServers::new(vec![address], MAX_TIMEOUT, RETRIES, true),
                Hosts::default(),
            ),
        };
        Ok(LoadedServers {
            name_servers: Arc::new(name_servers),
            hosts: Arc::new(hosts),
        })
    }
}

impl LoadedServers {
    /// Returns the addresses of both families: a name in the hosts file is never sent to a name
    /// server.
    fn lookup_hosts_file(&self, name: &Name) -> Option<Answer> {
        let mut addresses = Vec::new();
        for family in [RecordType::AAAA, RecordType::A] {
            let query = Query::query(name.clone(), family);
            if let Some(lookup) = self.hosts.lookup_static_host(&query) {
                addresses.extend(lookup.answers().iter().filter_map(|r| r.data.ip_addr()));
            }
        }
        (!addresses.is_empty()).then(|| Answer::from(addresses))
    }
}

fn absolute(name: &HostName) -> Result<Name, ResolveError> {
    let mut absolute = Name::from_ascii(name.as_ref())
        .map_err(|error| ResolveError::TryAgain(format!("{name} is not a DNS name: {error}")))?;
    absolute.set_fqdn(true);
    Ok(absolute)
}

fn is_not_in_dns(name: &HostName) -> bool {
    let last = name.as_str().rsplit('.').next().unwrap_or_default();
    NOT_IN_DNS.contains(&last)
}
