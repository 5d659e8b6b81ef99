//! Connecting through the embedder's proxy, and the choice of the targets that are dialled
//! directly.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use eryx_net_policy::{Host, HostName};

use crate::audit::entry::AuditEntry;
use crate::context::NetworkContext;
use crate::error::NetError;
use crate::proxy::error::ProxyError;
use crate::proxy::server::ProxyServer;
use crate::proxy::target::ProxyTarget;
use crate::tcp::dial::dial;
use crate::tcp::established::EstablishedConnection;
use crate::tcp::happy_eyeballs::{AttemptSchedule, race};
use crate::tcp::proxy_route_error::RouteError;
use crate::tcp::tunnel::TunnelDialler;

/// The schedule for the addresses of a host behind a proxy. An attempt takes several round trips,
/// and occupies a connection of the proxy.
const SCHEDULE: AttemptSchedule = AttemptSchedule {
    delay: Duration::from_secs(1),
    min_attempt_time: Duration::from_secs(5),
    max_attempts: 8,
};

/// Connects to the first of `addresses` that answers: directly to those that the configuration
/// excludes from the proxy, through `proxy` to the others.
pub(super) async fn dial_addresses(
    context: Arc<NetworkContext>,
    entry: Arc<AuditEntry>,
    proxy: Arc<ProxyServer>,
    host: Host,
    addresses: Vec<SocketAddr>,
) -> Result<EstablishedConnection, NetError> {
    let is_direct = |target: &SocketAddr| {
        let config = &context.config;
        config.is_direct(&host, Some(target.ip()), Some(target.port()))
    };
    // On the proxy's own port, a target may be the proxy.
    let needs_proxy = |target: &SocketAddr| !is_direct(target) || target.port() == proxy.port;
    if !addresses.iter().any(needs_proxy) {
        let connected = dial(&addresses, &context.spare_attempts).await?;
        return Ok(connected.into());
    }
    let outcome = async {
        let dialler = TunnelDialler::new(&context, &entry, &proxy).await?;
        dialler.check_targets(&addresses)?;
        race(&addresses, SCHEDULE, &context.spare_attempts, |target| {
            if is_direct(&target) {
                let spare = context.spare_attempts.clone();
                return Box::pin(async move { Ok(dial(&[target], &spare).await?.into()) });
            }
            let dialler = dialler.clone();
            Box::pin(async move { dialler.open(ProxyTarget::Address(target), target).await })
        })
        .await
    };
    outcome
        .await
        .map_err(|error: RouteError| error.report(&entry, &proxy))
}

/// Connects through `proxy` to a name, which the proxy resolves. `placeholder` stands for the
/// address of the peer.
pub(super) async fn dial_name(
    context: Arc<NetworkContext>,
    entry: Arc<AuditEntry>,
    proxy: Arc<ProxyServer>,
    (name, port): (HostName, u16),
    placeholder: IpAddr,
) -> Result<EstablishedConnection, NetError> {
    let outcome = async {
        if proxy.port == port && proxy.host.name() == Some(&name) {
            return Err(ProxyError::TargetIsProxy.into());
        }
        let dialler = TunnelDialler::new(&context, &entry, &proxy).await?;
        let peer = SocketAddr::new(placeholder, port);
        dialler.open(ProxyTarget::Name(name, port), peer).await
    };
    outcome
        .await
        .map_err(|error: RouteError| error.report(&entry, &proxy))
}
