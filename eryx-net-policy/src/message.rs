//! Verdicts in words.

use std::net::IpAddr;

use crate::{
    defaults::loopback_patterns,
    host::Host,
    pattern::HostPattern,
    port::{Port, PortRange},
    rule::List,
    verdict::{Culprit, Decision, Reason, Subject, Verdict},
    wording::HintStyle,
};

/// With everything that is known.
pub(crate) fn for_embedder(verdict: &Verdict) -> String {
    sentence(verdict, Audience::Embedder)
}

/// Without what the guest did not say itself.
pub(crate) fn for_guest(verdict: &Verdict) -> String {
    sentence(verdict, Audience::Guest)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Embedder,
    Guest,
}

fn sentence(verdict: &Verdict, audience: Audience) -> String {
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
    let why = why(verdict, host, audience);
    let way = if verdict.is_about_udp() {
        "UDP to "
    } else {
        ""
    };
    match remedy(verdict, host, audience) {
        Some(remedy) => format!("{way}`{subject}` {outcome}: {why}; {remedy}"),
        None => format!("{way}`{subject}` {outcome}: {why}"),
    }
}

fn why(verdict: &Verdict, host: &Host, audience: Audience) -> String {
    let rule = verdict.rule().map(ToString::to_string).unwrap_or_default();
    match (verdict.reason(), verdict.culprit()) {
        (Reason::NotBlocked, _) => {
            "nothing in blocked_hosts matches it, and allowed_hosts is empty".to_owned()
        }
        (Reason::Exempt, _) => format!("{rule} lifts what blocks it"),
        (Reason::DependsOnAddresses, _) => {
            "allowed_hosts has networks, and not the name".to_owned()
        }
        (Reason::AliasBlocked, Some(Culprit::Alias(alias))) if audience == Audience::Embedder => {
            format!("it is an alias of `{alias}`, which {rule} matches")
        }
        (Reason::AliasBlocked, _) => {
            "it is an alias of a name that blocked_hosts matches".to_owned()
        }
        (Reason::AddressBlocked, Some(Culprit::Address { address, form })) => match host {
            Host::Name(_) if audience == Audience::Guest => {
                "it resolves to an address that blocked_hosts covers".to_owned()
            }
            Host::Name(_) if form != address => {
                format!("it resolves to {address}, which leads to {form}, which {rule} covers")
            }
            Host::Name(_) => format!("it resolves to {address}, which {rule} covers"),
            Host::Address(_) if form != address => {
                format!("it leads to {form}, which {rule} covers")
            }
            Host::Address(_) => format!("{rule} covers it"),
        },
        (Reason::OwnAddress, Some(Culprit::Address { address, .. })) => {
            own_address(&rule, host, *address, audience)
        }
        (Reason::HostNotAllowed, Some(Culprit::Address { address, form })) if form != address => {
            format!("it leads to {form}, which nothing in allowed_hosts matches")
        }
        (Reason::HostNotAllowed, _) => "nothing in allowed_hosts matches it".to_owned(),
        (Reason::PortNotAllowed, _) => format!("{rule} is for other ports"),
        (Reason::AddressNotAllowed, Some(Culprit::Address { address, .. }))
            if audience == Audience::Embedder =>
        {
            format!("allowed_hosts has neither the name nor {address}, which it resolves to")
        }
        (Reason::AddressNotAllowed, _) => {
            "allowed_hosts has neither the name nor all of its addresses".to_owned()
        }
        (Reason::NoAddresses, _) => "it has no addresses".to_owned(),
        (Reason::UdpNotAllowed, Some(Culprit::Address { address, form })) if form != address => {
            format!("it leads to {form}, which nothing in allowed_udp matches")
        }
        (Reason::UdpNotAllowed, _) => "nothing in allowed_udp matches it".to_owned(),
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

/// The guest reads what it would of any other address that is blocked: which addresses are the machine's own is for the
/// embedder.
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

/// What would change a denial.
fn remedy(verdict: &Verdict, host: &Host, audience: Audience) -> Option<String> {
    let rule = verdict.rule().map(|r| r.pattern());
    let wording = verdict.wording();
    match (verdict.reason(), verdict.culprit()) {
        (Reason::HostBlocked, _) if rule.is_some_and(is_loopback) => {
            Some(format!("{} lifts that", wording.flag("allow_localhost")))
        }
        (Reason::HostBlocked, _) => {
            Some("take that entry out of blocked_hosts to change it".to_owned())
        }
        (Reason::AliasBlocked, _) if audience == Audience::Guest => None,
        (Reason::AliasBlocked, _) => {
            Some("take that entry out of blocked_hosts to change it".to_owned())
        }
        (Reason::AddressBlocked, Some(Culprit::Address { form, .. })) => match host {
            Host::Name(name) => {
                let setting = wording.setting("allow_internal_host", name);
                Some(format!("{setting} lifts that"))
            }
            Host::Address(_) => rule.map(|rule| lift_address(rule, *form, wording)),
        },
        (Reason::OwnAddress, Some(Culprit::Address { address, .. })) => {
            let setting = match host {
                Host::Name(name) => wording.setting("allow_internal_host", name),
                Host::Address(_) => wording.setting("allow_network", address),
            };
            Some(format!("{setting} lifts that"))
        }
        (Reason::HostNotAllowed, Some(Culprit::Address { form, .. })) => {
            Some(format!("{} adds that", wording.setting("allow_host", form)))
        }
        (Reason::HostNotAllowed | Reason::AddressNotAllowed, _) => {
            Some(format!("{} adds it", wording.setting("allow_host", host)))
        }
        (Reason::UdpNotAllowed, Some(Culprit::Address { form, .. })) => {
            udp_setting(verdict, &Host::Address(*form))
        }
        (Reason::UdpNotAllowed, _) => udp_setting(verdict, host),
        (Reason::PortNotAllowed, _) if of_udp(verdict) => udp_setting(verdict, host),
        (Reason::PortNotAllowed, _) => Some(format!(
            "{} adds it",
            wording.setting("allow_host", with_port(host, verdict.port()))
        )),
        _ => None,
    }
}

/// Whether what allows UDP decided.
fn of_udp(verdict: &Verdict) -> bool {
    verdict
        .rule()
        .is_some_and(|rule| rule.list() == List::AllowedUdp)
}

fn udp_setting(verdict: &Verdict, host: &Host) -> Option<String> {
    let setting = match verdict.port() {
        Port::Any => return None,
        port => with_port(host, port),
    };
    let setting = verdict.wording().setting("allow_udp", setting);
    Some(format!("{setting} adds it"))
}

fn lift_address(rule: &HostPattern, address: IpAddr, wording: HintStyle) -> String {
    if is_loopback(rule) {
        format!("{} lifts that", wording.flag("allow_localhost"))
    } else if rule.network().is_some() && rule.ports() == PortRange::ALL {
        format!("{} lifts that", wording.setting("allow_network", address))
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
