//! The outcome of an evaluation, without the host it was made for.

use std::net::IpAddr;

use crate::decision::{Decision, Reason};
use crate::host_name::HostName;
use crate::pattern::HostPattern;
use crate::rule::{List, Rule};

/// A decision, its reason, the rule that decided and the target that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) decision: Decision,
    pub(crate) reason: Reason,
    pub(crate) rule: Option<Rule>,
    pub(crate) denied: Option<DeniedTarget>,
}

impl Outcome {
    pub(crate) fn new(decision: Decision, reason: Reason) -> Self {
        Self {
            decision,
            reason,
            rule: None,
            denied: None,
        }
    }

    pub(crate) fn allow(reason: Reason) -> Self {
        Self::new(Decision::Allow, reason)
    }

    pub(crate) fn deny(reason: Reason) -> Self {
        Self::new(Decision::Deny, reason)
    }

    pub(crate) fn with_rule(mut self, list: List, pattern: HostPattern) -> Self {
        self.rule = Some(Rule::new(list, pattern));
        self
    }

    pub(crate) fn with_denied(mut self, denied: DeniedTarget) -> Self {
        self.denied = Some(denied);
        self
    }

    /// Names `effective` as the denied address, if it differs from `address`.
    pub(crate) fn with_effective(self, address: IpAddr, effective: IpAddr) -> Self {
        if effective == address {
            return self;
        }
        self.with_denied(DeniedTarget::Address { address, effective })
    }

    /// Keeps the rule, and makes it the denial of an address of the dialling machine.
    pub(crate) fn into_own_address(self, address: IpAddr) -> Self {
        Self {
            reason: Reason::OwnAddress,
            denied: Some(DeniedTarget::Address {
                address,
                effective: address,
            }),
            ..self
        }
    }

    pub(crate) fn is_denied(&self) -> bool {
        self.decision == Decision::Deny
    }

    pub(crate) fn is_about_port(&self) -> bool {
        self.reason == Reason::PortNotAllowed
    }
}

/// The part of a host that was denied, where it was not the host as requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeniedTarget {
    Alias(HostName),
    Address {
        address: IpAddr,
        /// The address that a connection to `address` reaches: the same address, the IPv4 address
        /// embedded in it, or loopback for an unspecified address.
        effective: IpAddr,
    },
}
