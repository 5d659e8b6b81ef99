//! The verdict of a policy about one host and port, and a denial as an error.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use crate::decision::{Decision, Reason, Transport};
use crate::hint_style::HintStyle;
use crate::host::Host;
use crate::host_error::HostError;
use crate::host_name::HostName;
use crate::message;
use crate::outcome::{DeniedTarget, Outcome};
use crate::port::Port;
use crate::rule::Rule;

/// The decision of a [`Policy`](crate::Policy) about a host and a port, with its explanation.
///
/// [`Display`](fmt::Display) is the message for the embedder, who wrote the policy: it names the
/// host, the entry that decided, any address that counted, and the setting that would change the
/// verdict. [`guest_message`](Self::guest_message) is the message for the guest program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    subject: Subject,
    port: Port,
    outcome: Outcome,
    addresses: Vec<IpAddr>,
    hint_style: HintStyle,
    transport: Transport,
}

/// The host that was evaluated, or the error of a text that is not a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Host(Host),
    Malformed(HostError),
}

impl Verdict {
    pub(crate) fn new(host: Host, port: Port, outcome: Outcome, addresses: Vec<IpAddr>) -> Self {
        Self {
            subject: Subject::Host(host),
            port,
            outcome,
            addresses,
            hint_style: HintStyle::default(),
            transport: Transport::default(),
        }
    }

    pub(crate) fn malformed(error: HostError, port: Port) -> Self {
        Self {
            subject: Subject::Malformed(error),
            port,
            outcome: Outcome::deny(Reason::MalformedHost),
            addresses: Vec::new(),
            hint_style: HintStyle::default(),
            transport: Transport::default(),
        }
    }

    pub(crate) fn with_hint_style(self, hint_style: HintStyle) -> Self {
        Self { hint_style, ..self }
    }

    pub(crate) fn with_transport(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// Copies the verdict, with another outcome for the same host and addresses.
    pub(crate) fn with_outcome(&self, outcome: Outcome) -> Self {
        Self {
            outcome,
            ..self.clone()
        }
    }

    /// Returns the transport protocol that the policy was checked for.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Returns the decision.
    pub fn decision(&self) -> Decision {
        self.outcome.decision
    }

    /// Returns whether [the addresses](Self::dialable_addresses) may be dialled.
    ///
    /// `false` for a name that still [needs its addresses](Decision::NeedsAddresses).
    pub fn is_allowed(&self) -> bool {
        self.decision() == Decision::Allow
    }

    /// Returns whether the denial is final.
    ///
    /// `false` for a name that still [needs its addresses](Decision::NeedsAddresses).
    pub fn is_denied(&self) -> bool {
        self.decision() == Decision::Deny
    }

    /// Returns the verdict, or [`Denied`] when it [is denied](Self::is_denied), so that `?` returns
    /// from the caller on a denial.
    ///
    /// `Ok` does not mean that dialling is allowed: a name still
    /// [needs its addresses](Decision::NeedsAddresses), and
    /// [`dialable_addresses`](Self::dialable_addresses) is empty until they are checked.
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
            Err(Denied(Box::new(self)))
        } else {
            Ok(self)
        }
    }

    /// Returns the reason for the decision.
    pub fn reason(&self) -> Reason {
        self.outcome.reason
    }

    /// Returns the entry that decided; `None` when a missing entry, or no entry at all, decided.
    pub fn rule(&self) -> Option<&Rule> {
        self.outcome.rule.as_ref()
    }

    /// Returns the host in canonical form; `None` when it is malformed.
    pub fn host(&self) -> Option<&Host> {
        match &self.subject {
            Subject::Host(host) => Some(host),
            Subject::Malformed(_) => None,
        }
    }

    /// Returns the parse error of a malformed host.
    pub fn host_error(&self) -> Option<&HostError> {
        match &self.subject {
            Subject::Host(_) => None,
            Subject::Malformed(error) => Some(error),
        }
    }

    /// Returns the port that the policy was checked for.
    pub fn port(&self) -> Port {
        self.port
    }

    /// Returns the addresses that were checked, in the order given, without duplicates and in the
    /// form in which they would be dialled.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Returns the addresses that may be dialled, in the order given: all of
    /// [`addresses`](Self::addresses) if the verdict [is allowed](Self::is_allowed), otherwise
    /// none.
    pub fn dialable_addresses(&self) -> &[IpAddr] {
        if self.is_allowed() {
            &self.addresses
        } else {
            &[]
        }
    }

    /// Returns the address that caused the denial, if an address did.
    pub fn denied_address(&self) -> Option<IpAddr> {
        match &self.outcome.denied {
            Some(DeniedTarget::Address { address, .. }) => Some(*address),
            _ => None,
        }
    }

    /// Returns the alias (CNAME target) that caused the denial, if an alias did.
    pub fn denied_alias(&self) -> Option<&HostName> {
        match &self.outcome.denied {
            Some(DeniedTarget::Alias(alias)) => Some(alias),
            _ => None,
        }
    }

    /// Returns the denial of UDP with this verdict, for the case that requests to the host are
    /// [enforced](crate::Inspection::Enforced) on the port: HTTP/3 would not be inspected. A
    /// verdict that denies already stays as it is.
    #[must_use]
    pub fn deny_inspected_udp(self) -> Self {
        if self.is_denied() {
            return self;
        }
        Self {
            outcome: Outcome::deny(Reason::UdpInspected),
            ..self
        }
    }

    /// Returns the message for the guest program.
    ///
    /// It reveals only what the guest program knows already: no address that a name resolves to, no
    /// alias, and no entry that matches one of these.
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
        message::for_guest(self)
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn denied_target(&self) -> Option<&DeniedTarget> {
        self.outcome.denied.as_ref()
    }

    pub(crate) fn hint_style(&self) -> HintStyle {
        self.hint_style
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&message::for_embedder(self))
    }
}

/// The error of [`Verdict::into_result`]: a verdict that denies.
///
/// [`Display`](fmt::Display) is the verdict's message for the embedder. The message for the guest
/// program is [`Verdict::guest_message`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(Box<Verdict>);

impl Denied {
    /// Returns the verdict.
    pub fn verdict(&self) -> &Verdict {
        &self.0
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Denied {}
