//! A lookup whose answer is checked against the policy: every alias and address, before any is
//! dialled. With `tcp/connect.rs` it prevents DNS rebinding.

use std::sync::Arc;

use eryx_net_policy::HostName;

use crate::audit::entry::AuditEntry;
use crate::context::NetworkContext;
use crate::dns::resolver::{Answer, Resolve as _, ResolveError};
use crate::error::NetError;

/// The most addresses of one name that are returned. All addresses of the name are checked.
const MAX_USED: usize = 64;

/// Resolves `name` and returns the addresses that the policy allows for `port`, in the order to try
/// them, and the aliases that lead to them. One denied alias or address denies the name.
pub(crate) async fn resolve(
    context: Arc<NetworkContext>,
    entry: Arc<AuditEntry>,
    name: HostName,
    port: Option<u16>,
) -> Result<Answer, NetError> {
    let answer = match context.resolver().resolve(&name).await {
        Ok(answer) if answer.addresses.is_empty() => return Err(NetError::NameWithoutAddress),
        Ok(answer) if answer.exceeds_limits() => {
            entry.unresolved(&format!(
                "it has {} addresses and {} aliases, more than any host needs",
                answer.addresses.len(),
                answer.aliases.len()
            ));
            return Err(NetError::NameTryAgain);
        }
        Ok(answer) => answer,
        Err(ResolveError::NotFound) => return Err(NetError::NameNotFound),
        Err(ResolveError::TryAgain(reason)) => {
            entry.unresolved(&reason);
            return Err(NetError::NameTryAgain);
        }
    };
    let policy = context.config.policy();
    let verdict = policy.check_resolved(&name, &answer.aliases, &answer.addresses, port);
    let verdict = context.deny_own_addresses(verdict)?;
    let would_deny = !verdict.is_allowed();
    if would_deny && !context.config.report_only() {
        let error = NetError::Denied(verdict.guest_message());
        entry.denied(verdict);
        return Err(error);
    }
    let mut addresses = interleave(verdict.addresses(), |address| address.is_ipv6());
    if would_deny {
        entry.would_deny(verdict.clone());
    }
    entry.resolved(&answer.aliases, verdict);
    addresses.truncate(MAX_USED);
    Ok(Answer {
        aliases: answer.aliases,
        addresses,
    })
}

/// Returns the addresses in the order to try them: families interleaved, IPv6 first (RFC 8305, 4),
/// each family in the resolver's order.
pub(crate) fn interleave<T: Copy>(addresses: &[T], is_ipv6: impl Fn(T) -> bool) -> Vec<T> {
    let mut six = addresses.iter().copied().filter(|a| is_ipv6(*a));
    let mut four = addresses.iter().copied().filter(|a| !is_ipv6(*a));
    let mut order = Vec::with_capacity(addresses.len());
    loop {
        let pair = (six.next(), four.next());
        order.extend(pair.0);
        order.extend(pair.1);
        if pair.0.is_none() && pair.1.is_none() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn families_are_interleaved_with_ipv6_first() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("a literal");
        let table: [(&[&str], &[&str]); 4] = [
            (&["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"]),
            (
                &["1.1.1.1", "2.2.2.2", "::1", "::2", "::3"],
                &["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"],
            ),
            (&["1.1.1.1", "::1"], &["::1", "1.1.1.1"]),
            (&[], &[]),
        ];
        for (given, expected) in table {
            let given: Vec<_> = given.iter().map(|a| ip(a)).collect();
            let expected: Vec<_> = expected.iter().map(|a| ip(a)).collect();
            assert_eq!(interleave(&given, |a| a.is_ipv6()), expected);
        }
    }
}
