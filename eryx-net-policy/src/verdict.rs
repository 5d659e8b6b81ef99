//! The answer, and the reason for it.

use std::{fmt, net::IpAddr};

use crate::{
    denied::Denied,
    host::Host,
    host_error::HostError,
    name::HostName,
    pattern::HostPattern,
    port::Port,
    rule::{List, Rule},
    sentence,
    transport::Transport,
    wording::HintStyle,
};

/// What a [`Policy`](crate::Policy) says about a host and a port.
///
/// [`Display`](fmt::Display) is a sentence for whoever wrote the policy: it names the host, the entry that
/// decided, any address that counted, and what would change the verdict.
/// [`guest_message`](Self::guest_message) is the same for whoever is subject to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    subject: Subject,
    port: Port,
    finding: Finding,
    addresses: Vec<IpAddr>,
    wording: HintStyle,
    transport: Transport,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Host(Host),
    Malformed(HostError),
}

impl Verdict {
    pub(crate) fn new(host: Host, port: Port, finding: Finding, addresses: Vec<IpAddr>) -> Self {
        Self {
            subject: Subject::Host(host),
            port,
            finding,
            addresses,
            wording: HintStyle::default(),
            transport: Transport::default(),
        }
    }

    /// The same, with settings called so.
    pub(crate) fn worded(self, wording: HintStyle) -> Self {
        Self { wording, ..self }
    }

    /// The same, about bytes carried so.
    pub(crate) fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// The same host and addresses, with another finding.
    pub(crate) fn with_finding(&self, finding: Finding) -> Self {
        Self {
            finding,
            ..self.clone()
        }
    }

    /// Whether it is about datagrams (UDP). All others are about connections.
    pub fn is_about_udp(&self) -> bool {
        self.transport == Transport::Udp
    }

    pub(crate) fn wording(&self) -> HintStyle {
        self.wording
    }

    pub(crate) fn malformed(error: HostError, port: Port) -> Self {
        Self {
            subject: Subject::Malformed(error),
            port,
            finding: Finding::deny(Reason::MalformedHost),
            addresses: Vec::new(),
            wording: HintStyle::default(),
            transport: Transport::default(),
        }
    }

    /// The decision.
    pub fn decision(&self) -> Decision {
        self.finding.decision
    }

    /// Whether [the addresses](Self::dialable_addresses) may be dialled. Not so for a name without its addresses.
    pub fn is_allowed(&self) -> bool {
        self.decision() == Decision::Allow
    }

    /// Whether it is denied for good. Not so for a name that [needs its addresses](Decision::NeedsAddresses).
    pub fn is_denied(&self) -> bool {
        self.decision() == Decision::Deny
    }

    /// Returns the verdict, or [`Denied`] when it [is denied](Self::is_denied), so that `?` ends what must not go on.
    ///
    /// `Ok` is no leave to dial: a name still [needs its addresses](Decision::NeedsAddresses), and
    /// [`dialable`](Self::dialable_addresses) is empty until they are judged.
    ///
    /// ```
    /// use eryx_net_policy::{Denied, Policy};
    ///
    /// fn check(host: &str) -> Result<(), Denied> {
    ///     Policy::default().check(host, 443).into_result()?;
    ///     Ok(())
    /// }
    /// assert!(check("93.184.215.14").is_ok());
    /// assert!(check("10.0.0.5").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`Denied`] with this verdict.
    pub fn into_result(self) -> Result<Self, Denied> {
        if self.is_denied() {
            Err(Denied::new(self))
        } else {
            Ok(self)
        }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.finding.reason
    }

    /// The entry that decided. `None` when it was the lack of one, or no question of entries.
    pub fn rule(&self) -> Option<&Rule> {
        self.finding.rule.as_ref()
    }

    /// The host in canonical form; `None` when it is malformed.
    pub fn host(&self) -> Option<&Host> {
        match &self.subject {
            Subject::Host(host) => Some(host),
            Subject::Malformed(_) => None,
        }
    }

    /// What is wrong with the host, when it is malformed.
    pub fn host_error(&self) -> Option<&HostError> {
        match &self.subject {
            Subject::Host(_) => None,
            Subject::Malformed(error) => Some(error),
        }
    }

    /// The port that was asked about.
    pub fn port(&self) -> Port {
        self.port
    }

    /// The addresses that were judged, in the order given, each once, as they would be dialled.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The addresses that may be dialled, in the order given: all of [`addresses`](Self::addresses) or, unless
    /// the verdict [is allowed](Self::is_allowed), none.
    pub fn dialable_addresses(&self) -> &[IpAddr] {
        if self.is_allowed() {
            &self.addresses
        } else {
            &[]
        }
    }

    /// The address that caused the denial, when one did.
    pub fn denied_address(&self) -> Option<IpAddr> {
        match &self.finding.culprit {
            Some(Culprit::Address { address, .. }) => Some(*address),
            _ => None,
        }
    }

    /// The alias (CNAME target) that caused the denial, when one did.
    pub fn denied_alias(&self) -> Option<&HostName> {
        match &self.finding.culprit {
            Some(Culprit::Alias(alias)) => Some(alias),
            _ => None,
        }
    }

    /// A sentence for the code that is denied.
    ///
    /// It tells nothing that code did not say itself: neither what a name resolves to, nor its aliases, nor
    /// the entries that match those.
    ///
    /// ```
    /// use eryx_net_policy::{HostName, Policy};
    ///
    /// let name: HostName = "intranet.example.com".parse()?;
    /// let verdict = Policy::default().check_resolved(&name, &[], &["10.1.2.3".parse()?], 80);
    /// assert!(verdict.to_string().contains("10.1.2.3"));
    /// assert!(!verdict.guest_message().contains("10."));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn guest_message(&self) -> String {
        sentence::for_guest(self)
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn culprit(&self) -> Option<&Culprit> {
        self.finding.culprit.as_ref()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sentence::for_embedder(self))
    }
}

/// Yes, no, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Decision {
    /// The addresses may be dialled.
    Allow,
    /// The name may be resolved; [`Policy::check_resolved`](crate::Policy::check_resolved) then decides.
    NeedsAddresses,
    /// Nothing may be dialled, or asked of a name server.
    Deny,
}

impl Decision {
    /// The decision as a word for logs and other programs. It stays what it is.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::NeedsAddresses => "needs-addresses",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a verdict is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
#[non_exhaustive]
pub enum Reason {
    /// Allowed: the allow list has the host, or all of its addresses.
    Listed,
    /// Allowed: nothing blocks it, and the allow list is empty.
    NotBlocked,
    /// Allowed: an exemption lifts what would block it, and the allow list is empty.
    Exempt,
    /// Undecided: the allow list does not have the name, but has networks its addresses may be in.
    DependsOnAddresses,
    /// Denied: the text is not a host.
    MalformedHost,
    /// Denied: the block list matches the name asked for.
    HostBlocked,
    /// Denied: the block list matches a name it is an alias of.
    AliasBlocked,
    /// Denied: the block list holds the address asked for, or one that the name resolves to.
    AddressBlocked,
    /// Denied: nothing on the allow list matches the host.
    HostNotAllowed,
    /// Denied: the allow list has the host, but not on this port.
    PortNotAllowed,
    /// Denied: the allow list has neither the name nor this address of it.
    AddressNotAllowed,
    /// Denied: the name has no addresses.
    NoAddresses,
    /// Denied: nothing allows datagrams to the host.
    UdpNotAllowed,
    /// Denied: datagrams to an address of more than one machine.
    NotUnicast,
    /// Denied: the address, or one that the name resolves to, is one of this machine's own, and the block list holds
    /// loopback.
    OwnAddress,
}

impl Reason {
    /// The reason as a word for logs and other programs. It stays what it is.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::NotBlocked => "not-blocked",
            Self::Exempt => "exempt",
            Self::DependsOnAddresses => "depends-on-addresses",
            Self::MalformedHost => "malformed-host",
            Self::HostBlocked => "host-blocked",
            Self::AliasBlocked => "alias-blocked",
            Self::AddressBlocked => "address-blocked",
            Self::HostNotAllowed => "host-not-allowed",
            Self::PortNotAllowed => "port-not-allowed",
            Self::AddressNotAllowed => "address-not-allowed",
            Self::NoAddresses => "no-addresses",
            Self::UdpNotAllowed => "udp-not-allowed",
            Self::NotUnicast => "not-unicast",
            Self::OwnAddress => "own-address",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A decision and what led to it, whoever it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    decision: Decision,
    reason: Reason,
    rule: Option<Rule>,
    culprit: Option<Culprit>,
}

impl Finding {
    pub(crate) fn new(decision: Decision, reason: Reason) -> Self {
        Self {
            decision,
            reason,
            rule: None,
            culprit: None,
        }
    }

    pub(crate) fn allow(reason: Reason) -> Self {
        Self::new(Decision::Allow, reason)
    }

    pub(crate) fn deny(reason: Reason) -> Self {
        Self::new(Decision::Deny, reason)
    }

    pub(crate) fn by(mut self, list: List, pattern: HostPattern) -> Self {
        self.rule = Some(Rule::new(list, pattern));
        self
    }

    pub(crate) fn over(mut self, culprit: Culprit) -> Self {
        self.culprit = Some(culprit);
        self
    }

    /// The same, over the address that `address` leads to, if that is another one.
    pub(crate) fn leading_to(self, address: IpAddr, form: IpAddr) -> Self {
        if form == address {
            return self;
        }
        self.over(Culprit::Address { address, form })
    }

    /// The same entry, as what denies an address of this machine's own.
    pub(crate) fn into_own(self, address: IpAddr) -> Self {
        Self {
            reason: Reason::OwnAddress,
            culprit: Some(Culprit::address(address)),
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

/// What of a host was denied, when it was not the host as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Culprit {
    Alias(HostName),
    Address {
        address: IpAddr,
        /// The same address, or the one it leads to when that is what is denied.
        form: IpAddr,
    },
}

impl Culprit {
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address {
            address,
            form: address,
        }
    }
}
