//! Resolving through name servers, with hickory.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eryx_net_policy::HostName;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError as DnsFailure};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::runtime::{Handle, Id};

use crate::{Answer, Resolve, ResolveError, Resolving};

/// How long a family whose answer has not come may hold up the other's. Every answer that came is judged,
/// so waiting longer than RFC 8305's 50 ms makes verdicts depend less on who was faster.
const GRACE: Duration = Duration::from_secs(1);

/// Most runtimes a resolver keeps connections for.
const MAX_RUNTIMES: usize = 4;

/// Most requests in flight on one connection to a name server.
const MAX_ACTIVE: usize = 1024;

/// Asks name servers: those the system is configured for, or one in particular.
///
/// The system's hosts file comes first. Names are absolute, so no search list applies. Answers are cached
/// for their time to live.
#[derive(Clone, Debug)]
pub struct NameServers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    /// A resolver's sockets belong to the runtime that polled them first.
    resolvers: Mutex<Vec<(Id, Ready)>>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    Server(SocketAddr),
}

#[derive(Clone, Debug)]
struct Ready {
    resolver: TokioResolver,
    hosts: Arc<Hosts>,
}

impl NameServers {
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
}

impl From<Source> for NameServers {
    fn from(source: Source) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                resolvers: Mutex::default(),
            }),
        }
    }
}

impl Resolve for NameServers {
    fn resolve(&self, name: &HostName) -> Resolving {
        let inner = Arc::clone(&self.inner);
        let name = name.clone();
        Box::pin(async move {
            let absolute = absolute(&name)?;
            let ready = inner.ready()?;
            match ready.look_in_hosts_file(&absolute) {
                Some(answer) => Ok(answer),
                None => ready.ask_servers(absolute).await,
            }
        })
    }
}

impl Inner {
    fn ready(&self) -> Result<Ready, ResolveError> {
        let runtime = Handle::try_current()
            .map_err(|_| {
                ResolveError::TryAgain("names are resolved inside a tokio runtime".into())
            })?
            .id();
        let mut resolvers = self
            .resolvers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ready)) = resolvers.iter().find(|(id, _)| *id == runtime) {
            return Ok(ready.clone());
        }
        let ready = self.source.build()?;
        if resolvers.len() == MAX_RUNTIMES {
            resolvers.remove(0);
        }
        resolvers.push((runtime, ready.clone()));
        Ok(ready)
    }
}

impl Source {
    fn build(self) -> Result<Ready, ResolveError> {
        let failed = |error: DnsFailure| {
            ResolveError::TryAgain(format!(
                "no name server can be used ({error}); see the system's resolver configuration, or set \
                 with_dns_server or with_hosts"
            ))
        };
        let provider = TokioRuntimeProvider::default();
        let (mut builder, hosts) = match self {
            Self::System => (
                TokioResolver::builder(provider).map_err(failed)?,
                // A missing hosts file is a file without entries.
                Hosts::from_system().unwrap_or_default(),
            ),
            Self::Server(address) => {
                let mut udp = ConnectionConfig::udp();
                udp.port = address.port();
                let mut tcp = ConnectionConfig::tcp();
                tcp.port = address.port();
                let server = NameServerConfig::new(address.ip(), true, vec![udp, tcp]);
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                let builder = TokioResolver::builder_with_config(config, provider)
                    .with_options(ResolverOpts::default());
                (builder, Hosts::default())
            }
        };
        let options = builder.options_mut();
        // The hosts file is asked here, for both families at once: a name it holds goes to no server.
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        options.max_active_requests = MAX_ACTIVE;
        Ok(Ready {
            resolver: builder.build().map_err(failed)?,
            hosts: Arc::new(hosts),
        })
    }
}

impl Ready {
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

    async fn ask_servers(&self, name: Name) -> Result<Answer, ResolveError> {
        let mut six = pin!(self.resolver.lookup(name.clone(), RecordType::AAAA));
        let mut four = pin!(self.resolver.lookup(name, RecordType::A));
        let mut grace = pin!(tokio::time::sleep(Duration::MAX));
        let mut outcomes: [Option<Result<Answer, ResolveError>>; 2] = [None, None];
        loop {
            let [six_came, four_came] = outcomes.each_ref().map(Option::is_some);
            if six_came && four_came {
                break;
            }
            if outcomes.iter().flatten().any(Result::is_ok) {
                grace.as_mut().reset(tokio::time::Instant::now() + GRACE);
            }
            tokio::select! {
                outcome = &mut six, if !six_came => outcomes[0] = Some(read(outcome)),
                outcome = &mut four, if !four_came => outcomes[1] = Some(read(outcome)),
                () = &mut grace => break,
            }
        }
        combine(outcomes)
    }
}

/// One family without an answer does not spoil the other's; two failures are one.
fn combine(outcomes: [Option<Result<Answer, ResolveError>>; 2]) -> Result<Answer, ResolveError> {
    let mut answer = Answer::default();
    let mut failure = None;
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Ok(mut part) => {
                part.aliases.retain(|alias| !answer.aliases.contains(alias));
                answer.aliases.append(&mut part.aliases);
                answer.addresses.append(&mut part.addresses);
            }
            Err(error @ ResolveError::TryAgain(_)) => failure = Some(error),
            Err(ResolveError::NotFound) => {}
        }
    }
    if !answer.addresses.is_empty() {
        return Ok(answer);
    }
    Err(failure.unwrap_or(ResolveError::NotFound))
}

fn read(outcome: Result<Lookup, DnsFailure>) -> Result<Answer, ResolveError> {
    let lookup = match outcome {
        Ok(lookup) => lookup,
        Err(DnsFailure::Dns(DnsError::NoRecordsFound(none)))
            if matches!(
                none.response_code,
                ResponseCode::NXDomain | ResponseCode::NoError
            ) =>
        {
            return Err(ResolveError::NotFound);
        }
        Err(error) => return Err(ResolveError::TryAgain(error.to_string())),
    };
    let mut answer = Answer::default();
    for record in lookup.answers() {
        match &record.data {
            RData::A(address) => answer.addresses.push(IpAddr::V4(address.0)),
            RData::AAAA(address) => answer.addresses.push(IpAddr::V6(address.0)),
            RData::CNAME(target) => {
                let text = target.to_ascii();
                let alias = HostName::parse(&text).map_err(|error| {
                    ResolveError::TryAgain(format!("the answer holds an impossible alias: {error}"))
                })?;
                answer.aliases.push(alias);
            }
            _ => {}
        }
    }
    if answer.addresses.is_empty() {
        return Err(ResolveError::NotFound);
    }
    Ok(answer)
}

fn absolute(name: &HostName) -> Result<Name, ResolveError> {
    let mut absolute = Name::from_ascii(name.as_ref())
        .map_err(|error| ResolveError::TryAgain(format!("{name} is no DNS name: {error}")))?;
    absolute.set_fqdn(true);
    Ok(absolute)
}
