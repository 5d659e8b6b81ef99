//! The messages of a verdict, for the embedder and for the guest program.

use std::net::IpAddr;

use crate::decision::{Decision, Reason, Transport};
use crate::defaults::loopback_patterns;
use crate::hint_style::HintStyle;
use crate::host::Host;
use crate::outcome::DeniedTarget;
use crate::pattern::HostPattern;
use crate::port::{Port, PortRange};
use crate::rule::List;
use crate::verdict::{Subject, Verdict};

/// Returns the embedder's message, with every detail.
pub(crate) fn for_embedder(verdict: &Verdict) -> String {
    message(verdict, Audience::Embedder)
}

/// Returns the guest program's message: no address or alias that the guest program did not name
/// itself.
pub(crate) fn for_guest(verdict: &Verdict) -> String {
    message(verdict, Audience::Guest)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Embedder,
    Guest,
}

fn message(verdict: &Verdict, audience: Audience) -> String {
    let host = match verdict.subject() {
        Subject::Malformed(error) => return error.to_string(),
        Subject::Host(host) => host,
    };
    let outcome = match (verdict.decision(), verdict.reason()) {
        (_, Reason::DependsOnAddresses) => "depends on its addresses",
        (Decision::Allow, _) => "is allowed",
        (Decision::NeedsAddresses, _) => "is allowed if its addresses are",
        (Decision::Deny, _) => "is denied",
    };
    let subject = with_port(host, verdict.port());
    let reason = reason(verdict, host, audience);
    let prefix = match verdict.transport() {
        Transport::Tcp => "",
        Transport::Udp => "UDP to ",
    };
    match remedy(verdict, host, audience) {
        Some(remedy) => format!("{prefix}`{subject}` {outcome}: {reason}; {remedy}"),
        None => format!("{prefix}`{subject}` {outcome}: {reason}"),
    }
}

fn reason(verdict: &Verdict, host: &Host, audience: Audience) -> String {
    let rule = verdict.rule().map(ToString::to_string).unwrap_or_default();
    match (verdict.reason(), verdict.denied_target()) {
        (Reason::NotBlocked, _) => {
            "nothing in blocked_hosts matches it, and allowed_hosts is empty".to_owned()
        }
        (Reason::Exempt, _) => format!("{rule} lifts what blocks it"),
        (Reason::DependsOnAddresses, _) => {
            "allowed_hosts has networks, and not the name".to_owned()
        }
        (Reason::AliasBlocked, Some(DeniedTarget::Alias(alias)))
            if audience == Audience::Embedder =>
        {
            format!("it is an alias of `{alias}`, which {rule} matches")
        }
        (Reason::AliasBlocked, _) => {
            "it is an alias of a name that blocked_hosts matches".to_owned()
        }
        (Reason::AddressBlocked, Some(DeniedTarget::Address { address, effective })) => match host
        {
            Host::Name(_) if audience == Audience::Guest => {
                "it resolves to an address that blocked_hosts covers".to_owned()
            }
            Host::Name(_) if effective != address => {
                format!("it resolves to {address}, which leads to {effective}, which {rule} covers")
            }
            Host::Name(_) => format!("it resolves to {address}, which {rule} covers"),
            Host::Address(_) if effective != address => {
                format!("it leads to {effective}, which {rule} covers")
            }
            Host::Address(_) => format!("{rule} covers it"),
        },
        (Reason::OwnAddress, Some(DeniedTarget::Address { address, .. })) => {
            own_address(&rule, host, *address, audience)
        }
        (Reason::HostNotAllowed, Some(DeniedTarget::Address { address, effective }))
            if effective != address =>
        {
            format!("it leads to {effective}, which nothing in allowed_hosts matches")
        }
        (Reason::HostNotAllowed, _) => "nothing in allowed_hosts matches it".to_owned(),
        (Reason::PortNotAllowed, _) => format!("{rule} is for other ports"),
        (Reason::AddressNotAllowed, Some(DeniedTarget::Address { address, .. }))
            if audience == Audience::Embedder =>
        {
            format!("allowed_hosts has neither the name nor {address}, which it resolves to")
        }
        (Reason::AddressNotAllowed, _) => {
            "allowed_hosts has neither the name nor all of its addresses".to_owned()
        }
        (Reason::NoAddresses, _) => "it has no addresses".to_owned(),
        (Reason::UdpNotAllowed, Some(DeniedTarget::Address { address, effective }))
            if effective != address =>
        {
            format!("it leads to {effective}, which nothing in allowed_udp matches")
        }
        (Reason::UdpNotAllowed, _) => "nothing in allowed_udp matches it".to_owned(),
        (Reason::UdpInspected, _) => {
            "requests to it are inspected (http_rules, secrets), and datagrams, as of HTTP/3, are not"
                .to_owned()
        }
        (Reason::NotUnicast, _) => match host {
            Host::Name(_) => "it resolves to a multicast or broadcast address".to_owned(),
            Host::Address(_) => "multicast and broadcast reach more than one machine".to_owned(),
        },
        (
            Reason::Listed
            | Reason::HostBlocked
            | Reason::AddressBlocked
            | Reason::OwnAddress
            | Reason::MalformedHost,
            _,
        ) => {
            format!("{rule} matches it")
        }
    }
}

/// Returns the reason for the denial of an address of the dialling machine.
///
/// The guest program gets the message of any other blocked address: it must not learn which
/// addresses belong to the machine.
fn own_address(rule: &str, host: &Host, address: IpAddr, audience: Audience) -> String {
    match (host, audience) {
        (Host::Name(_), Audience::Guest) => {
            "it resolves to an address that blocked_hosts covers".to_owned()
        }
        (Host::Address(_), Audience::Guest) => "blocked_hosts covers it".to_owned(),
        (Host::Name(_), Audience::Embedder) => format!(
            "it resolves to {address}, an address of this machine, which counts as loopback, which {rule} covers"
        ),
        (Host::Address(_), Audience::Embedder) => format!(
            "it is an address of this machine, which counts as loopback, which {rule} covers"
        ),
    }
}

/// Returns the setting that would change a denial.
fn remedy(verdict: &Verdict, host: &Host, audience: Audience) -> Option<String> {
    let rule = verdict.rule().map(|r| r.pattern());
    let hint_style = verdict.hint_style();
    match (verdict.reason(), verdict.denied_target()) {
        (Reason::HostBlocked, _) if rule.is_some_and(is_loopback) => {
            Some(format!("{} lifts that", hint_style.flag("allow_localhost")))
        }
        (Reason::HostBlocked, _) => {
            Some("take that entry out of blocked_hosts to change it".to_owned())
        }
        (Reason::AliasBlocked, _) if audience == Audience::Guest => None,
        (Reason::AliasBlocked, _) => {
            Some("take that entry out of blocked_hosts to change it".to_owned())
        }
        (Reason::AddressBlocked, Some(DeniedTarget::Address { effective, .. })) => match host {
            Host::Name(name) => {
                let setting = hint_style.setting("allow_internal_host", name);
                Some(format!("{setting} lifts that"))
            }
            Host::Address(_) => rule.map(|rule| address_setting(rule, *effective, hint_style)),
        },
        (Reason::OwnAddress, Some(DeniedTarget::Address { address, .. })) => {
            let setting = match host {
                Host::Name(name) => hint_style.setting("allow_internal_host", name),
                Host::Address(_) => hint_style.setting("allow_network", address),
            };
            Some(format!("{setting} lifts that"))
        }
        (Reason::HostNotAllowed, Some(DeniedTarget::Address { effective, .. })) => Some(format!(
            "{} adds that",
            hint_style.setting("allow_host", effective)
        )),
        (Reason::HostNotAllowed | Reason::AddressNotAllowed, _) => Some(format!(
            "{} adds it",
            hint_style.setting("allow_host", host)
        )),
        (Reason::UdpNotAllowed, Some(DeniedTarget::Address { effective, .. })) => {
            udp_setting(verdict, &Host::Address(*effective))
        }
        (Reason::UdpNotAllowed, _) => udp_setting(verdict, host),
        (Reason::UdpInspected, _) => Some(
            "use HTTP/1.1 over TCP, or name the TCP port of the host in http_rules and secrets"
                .to_owned(),
        ),
        (Reason::PortNotAllowed, _) if is_udp_rule(verdict) => udp_setting(verdict, host),
        (Reason::PortNotAllowed, _) => Some(format!(
            "{} adds it",
            hint_style.setting("allow_host", with_port(host, verdict.port()))
        )),
        _ => None,
    }
}

/// Returns whether an entry of the list that allows UDP decided.
fn is_udp_rule(verdict: &Verdict) -> bool {
    verdict
        .rule()
        .is_some_and(|rule| rule.list() == List::AllowedUdp)
}

fn udp_setting(verdict: &Verdict, host: &Host) -> Option<String> {
    let setting = match verdict.port() {
        Port::Any => return None,
        port => with_port(host, port),
    };
    let setting = verdict.hint_style().setting("allow_udp", setting);
    Some(format!("{setting} adds it"))
}

fn address_setting(rule: &HostPattern, address: IpAddr, hint_style: HintStyle) -> String {
    if is_loopback(rule) {
        format!("{} lifts that", hint_style.flag("allow_localhost"))
    } else if rule.network().is_some() && rule.ports() == PortRange::ALL {
        format!(
            "{} lifts that",
            hint_style.setting("allow_network", address)
        )
    } else {
        "take that entry out of blocked_hosts to change it".to_owned()
    }
}

fn is_loopback(rule: &HostPattern) -> bool {
    loopback_patterns().contains(rule)
}

fn with_port(host: &Host, port: Port) -> String {
    match (host, port) {
        (_, Port::Any) => host.to_string(),
        (Host::Address(IpAddr::V6(address)), Port::Number(port)) => format!("[{address}]:{port}"),
        (_, Port::Number(port)) => format!("{host}:{port}"),
    }
}
