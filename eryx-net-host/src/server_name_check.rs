//! The policy check of the server name (SNI) of a TLS handshake.

use std::net::IpAddr;

use eryx_net_policy::{Decision, Host, Port, Reason, Verdict};
use eryx_tls::ClientSettings;

use crate::audit::activity::{Activity, CloseReason};
use crate::audit::entry::AuditEntry;
use crate::audit::log::AuditLog;
use crate::context::NetworkContext;
use crate::error::NetError;

impl NetworkContext {
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
        // Not the verdict's host: that can be the name that an address was checked as, and the
        // peer's certificate must be for the address.
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
