//! Questions to the policy that need to know what this sandbox has done before.

use std::net::IpAddr;

use eryx_net_policy::{Decision, Host, Port, Reason, Verdict};
use eryx_tls::ClientSettings;

use crate::ledger::{Entry, Ledger};
use crate::network::Shared;
use crate::remembered::Origin;
use crate::{Activity, CloseReason, NetError};

impl Shared {
    /// Judges a connection to an address literal: as one of the names a lookup of this sandbox gave it
    /// for, or else as what it is.
    ///
    /// The block list wins over the literal: a name that is blocked on this port does not become
    /// reachable by writing down its address.
    pub(crate) fn judge_literal(&self, address: IpAddr, port: Port) -> Verdict {
        let policy = self.config.policy();
        self.judge_address(
            address,
            |origin| policy.check_resolved(&origin.name, &origin.aliases, &[address], port),
            || policy.check_host(&Host::Address(address), port),
        )
    }

    /// The same for datagrams.
    pub(crate) fn judge_datagrams(&self, address: IpAddr, port: u16) -> Verdict {
        let policy = self.config.policy();
        self.judge_address(
            address,
            |origin| policy.check_udp_resolved(&origin.name, &origin.aliases, &[address], port),
            || policy.check_udp_host(&Host::Address(address), port),
        )
    }

    fn judge_address(
        &self,
        address: IpAddr,
        as_origin: impl Fn(&Origin) -> Verdict,
        as_literal: impl Fn() -> Verdict,
    ) -> Verdict {
        let mut as_name = None;
        for origin in self.remembered.origins(address) {
            let verdict = as_origin(&origin);
            if verdict.is_allowed() {
                return verdict;
            }
            as_name.get_or_insert(verdict);
        }
        match as_name {
            Some(blocked) if is_blocked(&blocked) => blocked,
            Some(unlisted) => {
                let literal = as_literal();
                if literal.is_allowed() {
                    literal
                } else {
                    unlisted
                }
            }
            None => as_literal(),
        }
    }

    /// Judges the server name of a handshake, so that an allowed address is no way to a forbidden name.
    /// Returns the settings with that name in the form it was judged in, which is the form to send.
    pub(crate) fn judge_server_name(
        &self,
        settings: &ClientSettings,
        over: Carrier<'_>,
    ) -> Result<ClientSettings, NetError> {
        let mut settings = settings.clone();
        let Some(text) = &settings.server_name else {
            return Ok(settings);
        };
        let port = match over {
            Carrier::Connection { port, .. } => Port::Number(port),
            Carrier::Program { .. } => Port::Any,
        };
        let policy = self.config.policy();
        let host = Host::parse(text);
        let verdict = match &host {
            Ok(Host::Address(address)) => self.judge_literal(*address, port),
            Ok(Host::Name(name)) => {
                let verdict = policy.check_host(&Host::Name(name.clone()), port);
                match over {
                    // The allow list knows only networks: the name is as good as the address behind it.
                    Carrier::Connection { peer, .. }
                        if verdict.reason() == Reason::DependsOnAddresses =>
                    {
                        policy.check_resolved(name, &[], &[peer], port)
                    }
                    _ => verdict,
                }
            }
            Err(_) => policy.check(text, port),
        };
        if verdict.decision() == Decision::Deny {
            let only_reported = self.config.report_only() && host.is_ok();
            let error = NetError::Denied(verdict.guest_message());
            over.tell(text, verdict, only_reported);
            if !only_reported {
                return Err(error);
            }
        }
        // Not the verdict's host: an address that was judged as a name is still the address the peer's
        // certificate must be for.
        settings.server_name = host.ok().map(|host| host.to_string());
        Ok(settings)
    }
}

/// What carries the bytes of a handshake.
#[derive(Clone, Copy)]
pub(crate) enum Carrier<'a> {
    /// A connection: its port, its books, and the address at its other end.
    Connection {
        port: u16,
        entry: &'a Entry,
        peer: IpAddr,
    },
    /// The program itself, over whatever it has.
    Program { ledger: &'a Ledger },
}

impl Carrier<'_> {
    /// Writes down that the server name `name` is denied, or would be.
    fn tell(self, name: &str, verdict: Verdict, only_reported: bool) {
        match self {
            Self::Connection { entry, .. } if only_reported => entry.would_deny(verdict),
            Self::Connection { entry, .. } => entry.objected(verdict),
            // Such a session has an entry only for what is to be said about it, which is then all.
            Self::Program { ledger } => {
                let entry = ledger.open(Activity::TlsSession, name, None);
                if only_reported {
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
