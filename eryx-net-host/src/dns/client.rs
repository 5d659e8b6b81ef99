//! Resolving through name servers.

mod cache;
mod exchange;
mod families;
mod lookups;
mod question;
mod servers;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eryx_net_policy::HostName;
use hickory_proto::op::Query;
use hickory_proto::rr::{Name, RecordType};
use hickory_resolver::Hosts;
use hickory_resolver::system_conf::read_system_conf;
use tokio::runtime::Handle;

use crate::{Answer, HostMemory, Resolve, ResolveError, Resolving};
use lookups::Lookups;
use servers::Servers;

/// How long a name server that was set has for a reply, and how often it is asked again: what
/// resolv.conf(5) has without options.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 2;

/// Names that are known not to exist, with everything below them (RFC 6761, 6.4; RFC 7686, 2).
const NOT_IN_DNS: [&str; 2] = ["invalid", "onion"];

/// Asks name servers: those the system is configured for, or one in particular.
///
/// The system's hosts file comes first. Names are absolute, so no search list applies.
///
/// What it holds is bounded. Answers are kept for their time to live, an hour at most, and that a name does
/// not exist for 10 seconds at most: 256 names and 256 KiB. Six questions are under way at once, each on a
/// socket of its own, and others wait. 256 names may be sent to name servers at once, and then 100 a second.
/// A message of more than 8 KiB is no answer. Under a [`NetConfig`](crate::NetConfig) that has no resolver of
/// its own, all of this holds for each [`Network`](crate::Network).
#[derive(Clone, Debug)]
pub struct DnsResolver {
    inner: Arc<Inner>,
    lookups: Arc<Lookups>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    ready: Mutex<Option<Ready>>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Server(SocketAddr),
}

#[derive(Clone, Debug)]
struct Ready {
    servers: Arc<Servers>,
    hosts: Arc<Hosts>,
}

impl DnsResolver {
    /// The system's name servers and hosts file. They are read when the first name is resolved.
    #[must_use]
    pub fn system() -> Self {
        Self::from(Source::System)
    }

    /// One name server, over UDP and TCP. The system's hosts file is not read.
    #[must_use]
    pub fn server(address: SocketAddr) -> Self {
        Self::from(Source::Server(address))
    }

    /// The same name servers, with bounds of their own, and a cache that counts against `memory`. Without one
    /// they know what these know, and these what they learn.
    pub(crate) fn for_network(&self, memory: Option<HostMemory>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            lookups: Arc::new(match memory {
                Some(memory) => Lookups::counted(memory),
                None => self.lookups.with_same_cache(),
            }),
        }
    }
}

impl From<Source> for DnsResolver {
    fn from(source: Source) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                ready: Mutex::default(),
            }),
            lookups: Arc::default(),
        }
    }
}

impl Resolve for DnsResolver {
    fn resolve(&self, name: &HostName) -> Resolving {
        let inner = Arc::clone(&self.inner);
        let lookups = Arc::clone(&self.lookups);
        let name = name.clone();
        Box::pin(async move {
            if Handle::try_current().is_err() {
                return Err(ResolveError::TryAgain(
                    "names are resolved inside a tokio runtime".into(),
                ));
            }
            let absolute = absolute(&name)?;
            let ready = inner.ready()?;
            if let Some(answer) = ready.look_in_hosts_file(&absolute) {
                return Ok(answer);
            }
            if is_not_in_dns(&name) {
                return Err(ResolveError::NotFound);
            }
            let ask = move |lookups: Arc<Lookups>| async move {
                families::ask(&ready.servers, &lookups.sockets, absolute).await
            };
            lookups.answer(name, ask).await
        })
    }
}

impl Inner {
    fn ready(&self) -> Result<Ready, ResolveError> {
        // Set as a whole, so a panic elsewhere spoils nothing.
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*ready {
            return Ok(ready.clone());
        }
        Ok(ready.insert(self.source.read()?).clone())
    }
}

impl Source {
    fn read(self) -> Result<Ready, ResolveError> {
        let (servers, hosts) = match self {
            Self::System => {
                let (config, options) = read_system_conf().map_err(|error| {
                    ResolveError::TryAgain(format!(
                        "no name server can be used ({error}); see the system's resolver configuration, or \
                         set with_dns_server or with_hosts"
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
                    Servers::new(addresses, options.timeout, options.attempts, options.edns0),
                    // A missing hosts file is a file without entries.
                    Hosts::from_system().unwrap_or_default(),
                )
            }
            Self::Server(address) => (
                Servers::new(vec![address], LONGEST_WAIT, ATTEMPTS, true),
                Hosts::default(),
            ),
        };
        Ok(Ready {
            servers: Arc::new(servers),
            hosts: Arc::new(hosts),
        })
    }
}

impl Ready {
    /// For both families at once: a name the file holds goes to no server.
    fn look_in_hosts_file(&self, name: &Name) -> Option<Answer> {
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
        .map_err(|error| ResolveError::TryAgain(format!("{name} is no DNS name: {error}")))?;
    absolute.set_fqdn(true);
    Ok(absolute)
}

fn is_not_in_dns(name: &HostName) -> bool {
    let last = name.as_str().rsplit('.').next().unwrap_or_default();
    NOT_IN_DNS.contains(&last)
}
