//! The host for which the policy evaluates the requests of a connection.

use std::net::IpAddr;

use eryx_http::Scheme;
use eryx_net_policy::{Host, HttpPolicy, Inspection, Port};

use crate::audit::entry::AuditEntry;
use crate::http::context::HttpContext;
use crate::http::exchange::Exchange;

/// The hosts that a connection can be for, and how its requests are inspected.
#[derive(Clone, Debug)]
pub(crate) struct InspectionTarget {
    /// The name or address that was dialled; for an address, first the names that lookups of this
    /// sandbox resolved to it.
    hosts: Vec<Host>,
    /// `None` if the embedder's proxy resolved the name.
    address: Option<IpAddr>,
    port: u16,
    inspection: Inspection,
}

/// The host for which the policy evaluates one stream of requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    /// The address of the connection. `None` for TLS over a transport of the guest program or
    /// through its proxy, and if the embedder's proxy resolved the name.
    pub(crate) address: Option<IpAddr>,
    /// `None` for TLS that leads through another host, over a connection or a transport of the
    /// guest program: the port is then the one that requests name.
    pub(crate) port: Option<u16>,
    pub(crate) inspection: Inspection,
    /// Whether the peer has proved with a certificate that it is `host`.
    pub(crate) is_verified: bool,
}

impl InspectionTarget {
    /// Returns the target of a connection to one of `hosts` at `address`, or `None` if none of them
    /// is inspected. `address` is `None` if the embedder's proxy resolved the name.
    pub(crate) fn new(
        context: &HttpContext,
        hosts: Vec<Host>,
        address: Option<IpAddr>,
        port: u16,
    ) -> Option<Self> {
        let policy = context.policy();
        let inspection = hosts
            .iter()
            .map(|host| policy.inspection_at(host, address, port))
            .max()
            .unwrap_or(Inspection::None);
        (inspection != Inspection::None).then_some(Self {
            hosts,
            address,
            port,
            inspection,
        })
    }

    /// Returns whether requests must be inspected, as opposed to only recorded.
    pub(crate) fn is_enforced(&self) -> bool {
        self.inspection == Inspection::Enforced
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address of the connection, as in [`Peer::address`].
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns whether `host` is one of the hosts that the connection can be for.
    pub(crate) fn has(&self, host: &Host) -> bool {
        self.hosts.contains(host)
    }

    /// Returns whether TLS with `host` as server name is for the peer: `host` is one of the hosts,
    /// and [stands for](named_host) itself.
    pub(super) fn is_for(&self, context: &HttpContext, host: &Host) -> bool {
        let stands_for_itself =
            || named_host(context.policy(), host, self.hosts.iter(), self.port) == host;
        self.has(host) && stands_for_itself()
    }

    /// Returns the hosts that the connection can be for, of which there is at least one.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter()
    }

    /// Returns the host that was dialled, for messages.
    pub(crate) fn host(&self) -> &Host {
        &self.hosts[0]
    }

    /// Returns the host for which requests are evaluated if nothing names one of several hosts at
    /// one address: the one whose requests are inspected most strictly.
    pub(crate) fn strictest_host(&self, context: &HttpContext) -> &Host {
        let policy = context.policy();
        let inspection = |host: &&Host| policy.inspection_at(host, self.address, self.port);
        // `max_by_key` returns the last of equals, and the first is the latest that was looked up.
        let host = self.hosts.iter().rev().max_by_key(inspection);
        host.unwrap_or(self.host())
    }

    /// Returns whether bytes that cannot be inspected pass and are only reported: in report-only
    /// mode, unless they could bring the program a secret.
    pub(crate) fn is_reported_only(&self, context: &HttpContext) -> bool {
        let may_return_secret = |host| {
            let policy = context.policy();
            policy.may_return_secret(host, self.address, self.port)
        };
        context.report_only && !self.hosts.iter().any(may_return_secret)
    }

    /// Records in the request log why TLS would be denied, which goes on because of report-only
    /// mode.
    pub(crate) fn report_denial(&self, entry: &AuditEntry, message: &str) {
        let authority = match self.port {
            443 => with_brackets(self.host()),
            port => with_port(self.host(), port),
        };
        let mut exchange = Exchange::new("", format!("https://{authority}/"), None);
        exchange.would_be_denied(message);
        entry.request_ended(exchange.end(None));
    }

    /// Returns the peer of requests in clear text.
    pub(crate) fn plaintext_peer(&self, context: &HttpContext) -> Peer {
        Peer {
            scheme: Scheme::Http,
            host: self.strictest_host(context).clone(),
            address: self.address,
            port: Some(self.port),
            inspection: self.inspection,
            is_verified: false,
        }
    }
}

/// Returns the host that `named`, the server name of TLS, stands for: a name for itself.
///
/// An address does not choose between the names that lookups resolved to it. It stands for the
/// first of `hosts` that has rules or secrets of its own, if there is one.
pub(super) fn named_host<'a>(
    policy: &HttpPolicy,
    named: &'a Host,
    mut hosts: impl Iterator<Item = &'a Host>,
    port: impl Into<Port>,
) -> &'a Host {
    let port = port.into();
    let is_enforced = |host: &&Host| policy.inspection(host, port) == Inspection::Enforced;
    match named {
        Host::Name(_) => named,
        Host::Address(_) => hosts.find(is_enforced).unwrap_or(named),
    }
}

/// Returns a host and a port for a message.
pub(super) fn with_port(host: &Host, port: u16) -> String {
    format!("{}:{port}", with_brackets(host))
}

/// Returns a host as URLs have it.
pub(super) fn with_brackets(host: &Host) -> String {
    match host {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        host => host.to_string(),
    }
}

impl Peer {
    /// Returns the peer at the address and port of its connection, which were not known before.
    pub(crate) fn at(self, address: Option<IpAddr>, port: u16, context: &HttpContext) -> Self {
        Self {
            inspection: context.policy().inspection_at(&self.host, address, port),
            address,
            port: Some(port),
            ..self
        }
    }

    pub(crate) fn is_enforced(&self) -> bool {
        self.inspection == Inspection::Enforced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_before_a_port_is_in_brackets() {
        for (host, expected) in [
            ("a.example", "a.example:443"),
            ("192.0.2.7", "192.0.2.7:443"),
            ("2001:db8::7", "[2001:db8::7]:443"),
        ] {
            let host = Host::parse(host).expect("a host");
            assert_eq!(with_port(&host, 443), expected);
        }
    }
}
