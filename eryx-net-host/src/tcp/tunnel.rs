//! Opening a tunnel: dialling the embedder's proxy, TLS to it, and its handshake.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use eryx_net_policy::{Host, reached_addresses};
use eryx_tls::{ClientSettings, TlsError};

use crate::audit::entry::AuditEntry;
use crate::checked_lookup::interleave;
use crate::context::NetworkContext;
use crate::dns::resolver::Resolve as _;
use crate::host_memory::estimate;
use crate::local_endpoint::tunnel_local_endpoint;
use crate::own_addresses::OwnAddresses;
use crate::proxy::error::ProxyError;
use crate::proxy::handshake::ProxyHandshake;
use crate::proxy::server::{ProxyProtocol, ProxyServer};
use crate::proxy::target::ProxyTarget;
use crate::tcp::dial::{MAX_ATTEMPTS, dial};
use crate::tcp::established::{Endpoints, EstablishedConnection, TunnelRecord};
use crate::tcp::lazy_tcp_stream::{Interest, LazyTcpStream};
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::proxy_route_error::RouteError;
use crate::tcp::proxy_tls::ProxyTls;
use crate::tcp::transport::Transport;

/// Bytes of one read of the proxy's answer.
const READ_SIZE: usize = 4096;

/// Reads of the proxy's answer after which the task yields: the proxy decides how little each
/// returns.
const READS_PER_YIELD: u32 = 32;

/// Opens tunnels through one proxy.
#[derive(Clone)]
pub(super) struct TunnelDialler {
    context: Arc<NetworkContext>,
    entry: Arc<AuditEntry>,
    proxy: Arc<ProxyServer>,
    /// The addresses of the proxy.
    addresses: Arc<[SocketAddr]>,
}

impl TunnelDialler {
    /// Resolves the name of the proxy. The policy does not apply to its addresses: the embedder has
    /// chosen them.
    pub(super) async fn new(
        context: &Arc<NetworkContext>,
        entry: &Arc<AuditEntry>,
        proxy: &Arc<ProxyServer>,
    ) -> Result<Self, ProxyError> {
        let addresses = match &proxy.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let answer = context.resolver().resolve(name).await;
                let answer = answer.map_err(|error| ProxyError::Unresolved(error.to_string()))?;
                interleave(&answer.addresses, |address| address.is_ipv6())
            }
        };
        if addresses.is_empty() {
            return Err(ProxyError::Unresolved("it has no address".into()));
        }
        let addresses = addresses.into_iter().take(MAX_ATTEMPTS);
        Ok(Self {
            context: Arc::clone(context),
            entry: Arc::clone(entry),
            proxy: Arc::clone(proxy),
            addresses: addresses
                .map(|address| SocketAddr::new(address.to_canonical(), proxy.port))
                .collect(),
        })
    }

    /// Checks that no target is the proxy itself, which would serve the program without a policy.
    ///
    /// Where the proxy runs on this machine, all addresses of the machine count as the proxy's.
    pub(super) fn check_targets(&self, targets: &[SocketAddr]) -> Result<(), RouteError> {
        let on_its_port = targets.iter().filter(|t| t.port() == self.proxy.port);
        let reached: Vec<IpAddr> = on_its_port
            .flat_map(|t| reached_addresses(t.ip()))
            .collect();
        if reached.is_empty() {
            return Ok(());
        }
        let mut own = OwnAddresses::default();
        let mut is_own = |addresses: &mut dyn Iterator<Item = IpAddr>| {
            for address in addresses {
                if own.contains(address)? {
                    return Ok(true);
                }
            }
            io::Result::Ok(false)
        };
        let mut proxy = self.addresses.iter().map(SocketAddr::ip);
        if proxy.clone().any(|proxy| reached.contains(&proxy))
            || (is_own(&mut proxy)? && is_own(&mut reached.iter().copied())?)
        {
            return Err(ProxyError::TargetIsProxy.into());
        }
        Ok(())
    }

    /// Opens a tunnel to `target`, whose address for the guest program is `peer`.
    pub(super) async fn open(
        &self,
        target: ProxyTarget,
        peer: SocketAddr,
    ) -> Result<EstablishedConnection, RouteError> {
        self.entry.begin_tunnel(self.proxy.name());
        let is_tls = self.proxy.protocol == ProxyProtocol::Https;
        let charge = self
            .context
            .charge(&self.entry, estimate::tunnel(is_tls))
            .map_err(RouteError::Limit)?;
        let connected = dial(&self.addresses, &self.context.spare_attempts)
            .await
            .map_err(ProxyError::Unreachable)?;
        let mut transport = if is_tls {
            let tls = self.start_tls(connected.stream).await;
            Transport::ProxyTls(Box::new(tls.map_err(ProxyError::Tls)?))
        } else {
            Transport::Tcp(connected.stream)
        };
        let handshake = ProxyHandshake::new(&self.proxy, &target);
        let prefix = run_handshake(&mut transport, handshake).await?;
        Ok(EstablishedConnection {
            stream: PrefixedStream::new(transport, prefix),
            endpoints: Endpoints {
                local: tunnel_local_endpoint(connected.local, peer.ip()),
                peer,
                is_placeholder: matches!(target, ProxyTarget::Name(..)),
            },
            tunnel: Some(TunnelRecord {
                proxy: Arc::clone(self.proxy.name()),
                memory: charge,
            }),
        })
    }

    async fn start_tls(&self, stream: LazyTcpStream) -> Result<ProxyTls, TlsError> {
        let settings = ClientSettings {
            alpn: vec![b"http/1.1".to_vec()],
            ..ClientSettings::for_name(self.proxy.host.to_string())
        };
        let connector = self.context.proxy_connector();
        let stream = connector.upgrade(&settings, stream)?.await?;
        Ok(ProxyTls::new(stream))
    }
}

/// Runs the handshake with the proxy, and returns the first bytes of the tunnel.
async fn run_handshake(
    transport: &mut Transport,
    mut handshake: ProxyHandshake,
) -> Result<Vec<u8>, ProxyError> {
    let mut reads = 0;
    loop {
        let outgoing = handshake.take_outgoing();
        if !outgoing.is_empty() {
            send(transport, &outgoing).await?;
            // Once for each answer: a proxy that sends single bytes must not block the thread again
            // and again.
            transport.tcp_mut().wait_inline(Interest::Readable);
        }
        let mut answer = Vec::with_capacity(READ_SIZE);
        let received = poll_fn(|cx| transport.poll_receive(cx, &mut answer)).await?;
        if received == 0 {
            return Err(ProxyError::Closed);
        }
        if let Some(prefix) = handshake.receive(&answer)? {
            return Ok(prefix);
        }
        reads += 1;
        if reads % READS_PER_YIELD == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn send(transport: &mut Transport, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let sent = poll_fn(|cx| transport.poll_send(cx, data)).await?;
        data = &data[sent..];
    }
    poll_fn(|cx| transport.poll_flush(cx)).await
}
