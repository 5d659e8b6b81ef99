//! Policy checks that depend on this sandbox's earlier lookups, and the check of the server name.

use std::net::IpAddr;

use eryx_net_policy::{Decision, Host, Port, Reason, Verdict};
use eryx_tls::ClientSettings;

use crate::audit::activity::{Activity, CloseReason};
use crate::audit::entry::AuditEntry;
use crate::audit::log::AuditLog;
use crate::context::NetworkContext;
use crate::dns::fqdn_cache::ResolvedName;
use crate::error::NetError;
use crate::http::target::InspectionTarget;

impl NetworkContext {
    /// Checks a connection to an address literal: as one of the names that lookups of this sandbox
    /// resolved to it, or else as the address itself.
    ///
    /// The block list of names takes precedence: a name that is blocked on this port does not
    /// become reachable by its address.
    pub(crate) fn check_literal(&self, address: IpAddr, port: Port) -> Verdict {
        let policy = self.config.policy();
        self.check_address(
            address,
            |resolved| policy.check_resolved(&resolved.name, &resolved.aliases, &[address], port),
            || policy.check_host(&Host::Address(address), port),
        )
    }

    /// Does the same as [`check_literal`](Self::check_literal) for UDP, and denies an address if a
    /// connection to it would be to an inspected host: HTTP/3 would not be inspected.
    pub(crate) fn check_udp_literal(&self, address: IpAddr, port: u16) -> Verdict {
        let policy = self.config.policy();
        let verdict = self.check_address(
            address,
            |resolved| {
                policy.check_udp_resolved(&resolved.name, &resolved.aliases, &[address], port)
            },
            || policy.check_udp_host(&Host::Address(address), port),
        );
        let target = self.inspection_target(Host::Address(address), Some(address), port);
        match target.is_some_and(|target| target.is_enforced()) {
            true => verdict.for_inspected_host(),
            false => verdict,
        }
    }

    fn check_address(
        &self,
        address: IpAddr,
        check_name: impl Fn(&ResolvedName) -> Verdict,
        check_literal: impl Fn() -> Verdict,
    ) -> Verdict {
        let mut name_verdict = None;
        for resolved in self.resolved_names.names_of(address) {
            let verdict = check_name(&resolved);
            if verdict.is_allowed() {
                return verdict;
            }
            name_verdict.get_or_insert(verdict);
        }
        match name_verdict {
            Some(blocked) if is_blocked(&blocked) => blocked,
            Some(unlisted) => {
                let literal = check_literal();
                if literal.is_allowed() {
                    literal
                } else {
                    unlisted
                }
            }
            None => check_literal(),
        }
    }

    /// Returns the hosts that a connection to `host` at `address` can be for, if requests to one of
    /// them are inspected: for an address, also the names that lookups of this sandbox resolved to
    /// it. `address` is `None` if the embedder's proxy resolved the name.
    pub(crate) fn inspection_target(
        &self,
        host: Host,
        address: Option<IpAddr>,
        port: u16,
    ) -> Option<InspectionTarget> {
        let http = self.http.as_ref()?;
        let mut hosts = Vec::new();
        if let Host::Address(address) = host {
            let names = self.resolved_names.names_of(address);
            hosts.extend(
                names
                    .iter()
                    .map(|resolved| Host::Name(resolved.name.clone())),
            );
        }
        hosts.push(host);
        InspectionTarget::new(http, hosts, address, port)
    }

    /// Checks the server name of a handshake against the policy, so that an allowed address cannot
    /// be used to reach a denied virtual host.
    ///
    /// Returns the settings with that name in the form that was checked, which is the form to send.
    pub(crate) fn check_server_name(
        &self,
        settings: &ClientSettings,
        transport: HandshakeTransport<'_>,
    ) -> Result<ClientSettings, NetError> {
        let mut settings = settings.clone();
        let Some(text) = &settings.server_name else {
            return Ok(settings);
        };
        let port = match transport {
            HandshakeTransport::Connection { port, .. } => Port::Number(port),
            HandshakeTransport::Guest { .. } => Port::Any,
        };
        let policy = self.config.policy();
        let host = Host::parse(text);
        let verdict = match &host {
            Ok(Host::Address(address)) => self.check_literal(*address, port),
            Ok(Host::Name(name)) => {
                let verdict = policy.check_host(&Host::Name(name.clone()), port);
                match transport {
                    // The allow list has only networks: the peer's address decides about the name.
                    HandshakeTransport::Connection { peer, .. }
                        if verdict.reason() == Reason::DependsOnAddresses =>
                    {
                        match peer {
                            Some(peer) => policy.check_resolved(name, &[], &[peer], port),
                            None => policy.check_unresolved(name, port),
                        }
                    }
                    _ => verdict,
                }
            }
            Err(_) => policy.check(text, port),
        };
        if verdict.decision() == Decision::Deny {
            let report_only = self.config.report_only() && host.is_ok();
            let error = NetError::Denied(verdict.guest_message());
            transport.record_denial(text, verdict, report_only);
            if !report_only {
                return Err(error);
            }
        }
        // Not the verdict's host: an address that was checked as a name is still the address that
        // the peer's certificate must be for.
        settings.server_name = host.ok().map(|host| host.to_string());
        Ok(settings)
    }
}

/// The transport of a handshake.
#[derive(Clone, Copy)]
pub(crate) enum HandshakeTransport<'a> {
    /// A connection: its port, its audit entry, and the address of its peer, unless the embedder's
    /// proxy resolved the name.
    Connection {
        port: u16,
        entry: &'a AuditEntry,
        peer: Option<IpAddr>,
    },
    /// A transport of the guest program.
    Guest { log: &'a AuditLog },
}

impl HandshakeTransport<'_> {
    /// Records that the policy denies the server name `name`, or would deny it.
    fn record_denial(self, name: &str, verdict: Verdict, report_only: bool) {
        match self {
            Self::Connection { entry, .. } if report_only => entry.would_deny(verdict),
            Self::Connection { entry, .. } => entry.denied_operation(verdict),
            // A TLS session over the guest's own transport is logged only when its server name is
            // denied, or would be.
            Self::Guest { log } => {
                let entry = log.begin(Activity::TlsSession, name, None);
                if report_only {
                    entry.would_deny(verdict);
                    entry.close(CloseReason::LocalClose);
                } else {
                    entry.denied(verdict);
                }
            }
        }
    }
}

fn is_blocked(verdict: &Verdict) -> bool {
    matches!(
        verdict.reason(),
        Reason::HostBlocked | Reason::AliasBlocked | Reason::AddressBlocked
    )
}
