//! The policy check of an address literal, which depends on this sandbox's earlier lookups.

use std::net::IpAddr;

use eryx_net_policy::{Host, Port, Reason, Verdict};

use crate::context::NetworkContext;
use crate::dns::resolved_names::ResolvedName;

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
            true => verdict.deny_inspected_udp(),
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
}

fn is_blocked(verdict: &Verdict) -> bool {
    matches!(
        verdict.reason(),
        Reason::HostBlocked | Reason::AliasBlocked | Reason::AddressBlocked
    )
}
