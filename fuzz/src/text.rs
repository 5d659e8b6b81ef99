//! Parsers of one piece of text.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use eryx_net_policy::{Host, HostName, HostPattern, IpNetwork};

/// Hosts are canonical, and no number is a name.
pub fn host(text: &str) {
    if let Some(host) = parsed::<Host>(text) {
        match &host {
            Host::Name(name) => is_canonical(name),
            Host::Address(address) => assert_eq!(*address, address.to_canonical()),
        }
        let pattern = HostPattern::from(host.clone());
        assert!(pattern.matches(&host), "{pattern:?} matches {host}");
    }
    // A name is what a host that is no address is, and nothing else.
    let name = parsed::<HostName>(text);
    let host = text.parse::<Host>().ok();
    assert_eq!(name, host.and_then(|h| h.name().cloned()), "{text:?}");
}

/// Patterns mean what they show.
pub fn pattern(text: &str) {
    let Some(pattern) = parsed::<HostPattern>(text) else {
        return;
    };
    let json = serde_json::to_string(&pattern).expect("a pattern is a string");
    let read: HostPattern = serde_json::from_str(&json).expect("what was written can be read");
    assert_eq!(read, pattern);
    if let Some(network) = pattern.network() {
        let inside = Host::from(network.address());
        assert!(pattern.matches(&inside), "{pattern:?} matches {inside}");
        // An IPv4-mapped network would have to be judged as the IPv4 network in it.
        assert_eq!(network.address(), network.address().to_canonical());
    }
}

/// Networks hold their own addresses and no others.
pub fn network(text: &str) {
    let Some(network) = parsed::<IpNetwork>(text) else {
        return;
    };
    let address = network.address();
    assert!(network.contains(address), "{network} holds {address}");
    let max = if address.is_ipv4() { 32 } else { 128 };
    assert!(network.prefix_len() <= max);
    assert_eq!(network.is_single(), network.prefix_len() == max);
    let pattern = text.parse::<HostPattern>();
    assert_eq!(pattern.map(|p| p.network()), Ok(Some(network)), "{text:?}");
}

/// The value, if the text is one: shown, it is the same value again. A message about a text that is not
/// one fits on a line and holds nothing that a terminal would act on.
fn parsed<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let shown = value.to_string();
            match shown.parse::<T>() {
                Ok(again) => assert_eq!(again, value, "{text:?}"),
                Err(error) => panic!("{text:?} shows as {shown:?}: {error}"),
            }
            Some(value)
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 2048, "{message}");
            assert!(!message.contains(char::is_control), "{message:?}");
            None
        }
    }
}

fn is_canonical(name: &HostName) {
    let name = name.as_str();
    assert!((1..=253).contains(&name.len()), "{name}");
    assert!(
        name.split('.').all(|l| (1..=63).contains(&l.len())),
        "{name}"
    );
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    assert!(name.bytes().all(plain), "{name}");
    let last = name.rsplit('.').next().unwrap_or_default();
    assert!(!last.bytes().all(|b| b.is_ascii_digit()), "{name}");
}
