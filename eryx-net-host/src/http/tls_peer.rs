//! How TLS to an inspected host begins: the peer of its requests, and the protocols offered.

use std::net::IpAddr;

use eryx_net_policy::{Host, Inspection, Port};
use eryx_tls::ClientSettings;

use crate::audit::entry::AuditEntry;
use crate::error::NetError;
use crate::http::context::HttpContext;
use crate::http::target::{InspectionTarget, Peer, named_host};

/// The ALPN protocol of HTTP/2 (RFC 9113, 3.2).
const H2: &[u8] = b"h2";

/// A connection of the guest program on which TLS begins.
pub(crate) struct TlsTransport<'a> {
    pub(crate) entry: &'a AuditEntry,
    pub(crate) target: Option<&'a InspectionTarget>,
    /// The hosts that it leads to, as opposed to those behind a proxy of the guest program.
    pub(crate) hosts: Vec<Host>,
    /// `None` if the embedder's proxy resolved the name.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl TlsTransport<'_> {
    fn leads_to(&self, host: &Host) -> bool {
        self.hosts.contains(host) || self.target.is_some_and(|target| target.has(host))
    }
}

impl HttpContext {
    /// Returns the peer of the requests that TLS with `settings` carries, or `None` if they are not
    /// inspected. `connection` is `None` for a transport of the guest program.
    /// `is_unverified_allowed` is whether the embedder permits TLS without verification, and with
    /// roots of the guest program. `hosts_of` returns the hosts that a connection to an address can
    /// be for.
    ///
    /// Removes HTTP/2 from the offered protocols if the requests are inspected: only HTTP/1.1 is
    /// parsed.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] if the connection is to an inspected host and the server name is not
    /// that host, unless that is only reported.
    pub(crate) fn tls_peer(
        &self,
        settings: &mut ClientSettings,
        connection: Option<&TlsTransport<'_>>,
        is_unverified_allowed: bool,
        hosts_of: impl FnOnce(&Host) -> Vec<Host>,
    ) -> Result<Option<Peer>, NetError> {
        let name = settings.server_name.as_deref();
        let named = name.and_then(|name| Host::parse(name).ok());
        let target = connection.and_then(|connection| connection.target);
        let enforced = target.filter(|target| target.is_enforced());
        if let (Some(target), Some(host)) = (enforced, &named)
            && !target.has(host)
        {
            let dialled = target.host();
            let message = format!(
                "TLS with the server name `{host}` is denied on a connection to `{dialled}`, whose \
                 requests are inspected (http_rules, secrets): use `{dialled}` as server name, or \
                 connect to `{host}`"
            );
            match connection {
                Some(connection) if target.is_reported_only(self) => {
                    target.report_denial(connection.entry, &message);
                }
                _ => return Err(NetError::Denied(message)),
            }
        }
        // Through a proxy of the guest program, the port is not that of the connection.
        let is_own = |connection: &&TlsTransport<'_>| {
            named.as_ref().is_none_or(|host| connection.leads_to(host))
        };
        let own = connection.filter(is_own);
        let (address, port) = (own.and_then(|own| own.address), own.map(|own| own.port));
        let inspected_port = port.map_or(Port::Any, Port::Number);
        let resolved = match &named {
            Some(host @ Host::Address(_)) => hosts_of(host),
            _ => Vec::new(),
        };
        let known = enforced.into_iter().flat_map(InspectionTarget::hosts);
        let host = match (&named, target) {
            (Some(named), _) => {
                named_host(self.policy(), named, known.chain(&resolved), inspected_port)
            }
            (None, Some(target)) => target.strictest_host(self),
            (None, None) => return Ok(None),
        };
        // Where the embedder does not permit unverified TLS, the server name is verified in any
        // case. If that is an address, the peer has not proved that it is a name.
        let is_verified = named.as_ref() == Some(host)
            && settings.verify_peer
            && (settings.check_hostname || !is_unverified_allowed)
            && (settings.roots.is_empty() || !is_unverified_allowed);
        let inspection = self.policy().inspection_at(host, address, inspected_port);
        match inspection {
            Inspection::None => return Ok(None),
            // A program that offers only HTTP/2 is not recorded, instead of failing.
            Inspection::LogOnly if settings.alpn == [H2] => return Ok(None),
            Inspection::LogOnly | Inspection::Enforced => {}
        }
        settings.alpn.retain(|protocol| protocol != H2);
        Ok(Some(Peer {
            scheme: eryx_http::Scheme::Https,
            host: host.clone(),
            address,
            port,
            inspection,
            is_verified,
        }))
    }
}
