//! The cause of a denial, a failure or an event, by which they are counted.

use eryx_net_policy::{Rule, Verdict};

use crate::audit::activity::CloseReason;
use crate::audit::event::EventKind;
use crate::error::NetError;
use crate::limits::kind::NetLimit;

/// A reason, and the rule of the policy that decided, if one did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cause {
    pub(super) reason: &'static str,
    pub(super) rule: Option<Rule>,
}

impl Cause {
    pub(super) fn without_rule(reason: &'static str) -> Self {
        Self { reason, rule: None }
    }

    pub(super) fn of_verdict(verdict: &Verdict) -> Self {
        Self {
            reason: verdict.reason().as_str(),
            rule: verdict.rule().cloned(),
        }
    }

    /// Returns why an activity ended before it was established. `None` if the guest program or the
    /// embedder ended it.
    pub(super) fn of_close(close_reason: &CloseReason, limit: Option<NetLimit>) -> Option<Self> {
        match (close_reason, limit) {
            (CloseReason::LocalClose | CloseReason::PeerClose | CloseReason::Aborted, _) => None,
            (CloseReason::Denied, _) => Some(Self::without_rule("denied")),
            (
                CloseReason::Error(NetError::LimitReached(_) | NetError::QuotaExceeded(_)),
                Some(limit),
            ) => Some(Self::without_rule(limit.setting())),
            (CloseReason::Error(error), _) => Some(Self::without_rule(error.as_str())),
        }
    }

    /// Returns the cause of an event, by which events of one kind are counted.
    pub(super) fn of_event(kind: &EventKind) -> Self {
        match kind {
            EventKind::Denied { verdict }
            | EventKind::WouldDeny { verdict }
            | EventKind::Connected { verdict, .. } => Self::of_verdict(verdict),
            EventKind::LimitReached { limit } | EventKind::Throttled { limit } => {
                Self::without_rule(limit.setting())
            }
            EventKind::Closed {
                close_reason: CloseReason::Error(error),
                ..
            } => Self::without_rule(error.as_str()),
            EventKind::Closed { close_reason, .. } => Self::without_rule(close_reason.as_str()),
            EventKind::HttpWouldDeny { verdict } => Self::without_rule(verdict.reason().as_str()),
            EventKind::Resolved { .. }
            | EventKind::Unresolved { .. }
            | EventKind::ProxyFailed { .. }
            | EventKind::Tls { .. }
            | EventKind::HttpRequest { .. }
            | EventKind::HttpDenied { .. } => Self::without_rule(kind.as_str()),
        }
    }
}
