//! Why something was refused, failed or happened: what refusals and events are counted by.

use eryx_net_policy::{Rule, Verdict};

use crate::{CloseReason, EventKind, NetError, NetLimit};

/// A reason, and the rule of the policy that decided, if one did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) rule: Option<Rule>,
}

impl Cause {
    pub(crate) fn word(reason: &'static str) -> Self {
        Self { reason, rule: None }
    }

    pub(crate) fn verdict(verdict: &Verdict) -> Self {
        Self {
            reason: verdict.reason().as_str(),
            rule: verdict.rule().cloned(),
        }
    }

    /// Why something that was never established ended. `None` when the program or the embedder ended it.
    pub(super) fn of_end(end: &CloseReason, limit: Option<NetLimit>) -> Option<Self> {
        match (end, limit) {
            (CloseReason::LocalClose | CloseReason::PeerClose | CloseReason::Aborted, _) => None,
            (CloseReason::Denied, _) => Some(Self::word("denied")),
            (
                CloseReason::Error(NetError::LimitReached(_) | NetError::QuotaExceeded(_)),
                Some(limit),
            ) => Some(Self::word(limit.setting())),
            (CloseReason::Error(error), _) => Some(Self::word(error.name())),
        }
    }

    /// What events of one kind are told apart by.
    pub(super) fn of_event(kind: &EventKind) -> Self {
        match kind {
            EventKind::Denied { verdict }
            | EventKind::WouldDeny { verdict }
            | EventKind::Connected { verdict, .. } => Self::verdict(verdict),
            EventKind::LimitReached { limit } | EventKind::Throttled { limit } => {
                Self::word(limit.setting())
            }
            EventKind::Closed {
                close_reason: CloseReason::Error(error),
                ..
            } => Self::word(error.name()),
            EventKind::Closed { close_reason, .. } => Self::word(close_reason.name()),
            EventKind::Resolved { .. } | EventKind::Unresolved { .. } | EventKind::Tls { .. } => {
                Self::word(kind.name())
            }
        }
    }

    /// The same without the rule.
    pub(crate) fn without_rule(&self) -> Self {
        Self::word(self.reason)
    }
}
