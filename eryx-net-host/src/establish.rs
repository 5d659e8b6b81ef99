//! From a name to the addresses that may be dialled: resolve once, judge everything, dial exactly that.

use std::sync::Arc;

use eryx_net_policy::HostName;

use crate::dial::interleave;
use crate::ledger::Entry;
use crate::network::Shared;
use crate::{Answer, NetError, ResolveError};

/// Most addresses of one name that are used. All of them are judged.
const MAX_USED: usize = 64;

/// The addresses of `name` that the policy allows for `port`, in the order to try them, together with the
/// aliases on the way. One forbidden alias or address refuses the name.
pub(crate) async fn resolve(
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    name: HostName,
    port: Option<u16>,
) -> Result<Answer, NetError> {
    let answer = match shared.config.resolver().resolve(&name).await {
        Ok(answer) if !answer.addresses.is_empty() => answer,
        Ok(_) | Err(ResolveError::NotFound) => return Err(NetError::NameNotFound),
        Err(ResolveError::TryAgain(reason)) => {
            tracing::warn!(target: "eryx::net", "{name} could not be resolved: {reason}");
            return Err(NetError::NameTryAgain);
        }
    };
    let verdict =
        shared
            .config
            .policy()
            .check_resolved(&name, &answer.aliases, &answer.addresses, port);
    if !verdict.is_allowed() {
        let error = NetError::Denied(verdict.guest_message());
        entry.denied(verdict);
        return Err(error);
    }
    let mut addresses = interleave(verdict.dialable(), |address| address.is_ipv6());
    entry.resolved(
        answer.aliases.iter().map(HostName::to_string).collect(),
        verdict,
    );
    addresses.truncate(MAX_USED);
    Ok(Answer {
        aliases: answer.aliases,
        addresses,
    })
}
