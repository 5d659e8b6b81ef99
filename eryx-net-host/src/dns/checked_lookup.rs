//! From a name to the addresses that may be dialled: resolve once, judge everything, dial exactly that.

use std::sync::Arc;

use eryx_net_policy::HostName;

use crate::dial::interleave;
use crate::ledger::Entry;
use crate::network::Shared;
use crate::{Answer, NetError, Resolve as _, ResolveError};

/// Most addresses of one name that are used. All of them are judged.
const MAX_USED: usize = 64;

/// Most addresses an answer may hold. Verdicts keep them, and whoever runs a name server for a hostile
/// program must not decide how much the host keeps.
pub(crate) const MAX_ADDRESSES: usize = 256;

/// Most aliases an answer may hold. Resolvers follow fewer.
pub(crate) const MAX_ALIASES: usize = 16;

/// The addresses of `name` that the policy allows for `port`, in the order to try them, together with the
/// aliases on the way. One forbidden alias or address refuses the name.
pub(crate) async fn resolve(
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    name: HostName,
    port: Option<u16>,
) -> Result<Answer, NetError> {
    let answer = match shared.resolver().resolve(&name).await {
        Ok(answer) if answer.addresses.is_empty() => return Err(NetError::NameNotFound),
        Ok(answer)
            if answer.addresses.len() > MAX_ADDRESSES || answer.aliases.len() > MAX_ALIASES =>
        {
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
    let policy = shared.config.policy();
    let verdict = policy.check_resolved(&name, &answer.aliases, &answer.addresses, port);
    let verdict = shared.refuse_own(verdict)?;
    let would_deny = !verdict.is_allowed();
    if would_deny && !shared.config.report_only() {
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
