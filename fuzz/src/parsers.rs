//! Parsers of hosts, host patterns and networks.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use eryx_net_policy::{Host, HostName, HostPattern, IpNetwork};

/// A host is canonical, and a number is not a name.
pub fn host(text: &str) {
    if let Some(host) = parse::<Host>(text) {
        match &host {
            Host::Name(name) => check_canonical(name),
            Host::Address(address) => assert_eq!(*address, address.to_canonical()),
        }
        let pattern = HostPattern::from(host.clone());
        assert!(pattern.matches(&host), "{pattern:?} matches {host}");
    }
    // A text is a name exactly if it is a host and not an address.
    let name = parse::<HostName>(text);
    let host = text.parse::<Host>().ok();
    assert_eq!(name, host.and_then(|h| h.name().cloned()), "{text:?}");
}

/// A pattern matches the network that it shows.
pub fn pattern(text: &str) {
    let Some(pattern) = parse::<HostPattern>(text) else {
        return;
    };
    let json = serde_json::to_string(&pattern).expect("a pattern is a string");
    let read: HostPattern = serde_json::from_str(&json).expect("it can be read again");
    assert_eq!(read, pattern);
    if let Some(network) = pattern.network() {
        let inside = Host::from(network.address());
        assert!(pattern.matches(&inside), "{pattern:?} matches {inside}");
        // IPv4-mapped networks are represented as IPv4 networks.
        assert_eq!(network.address(), network.address().to_canonical());
    }
}

/// A network contains its own address, and is a valid pattern.
pub fn network(text: &str) {
    let Some(network) = parse::<IpNetwork>(text) else {
        return;
    };
    let address = network.address();
    assert!(network.contains(address), "{network} contains {address}");
    let max = if address.is_ipv4() { 32 } else { 128 };
    assert!(network.prefix_len() <= max);
    assert_eq!(network.is_single(), network.prefix_len() == max);
    let pattern = text.parse::<HostPattern>();
    assert_eq!(pattern.map(|p| p.network()), Ok(Some(network)), "{text:?}");
}

/// Parses a text, and checks that the value round-trips through its display form, or that the error
/// message is short and has no control characters.
fn parse<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let displayed = value.to_string();
            match displayed.parse::<T>() {
                Ok(again) => assert_eq!(again, value, "{text:?}"),
                Err(error) => panic!("{text:?} is displayed as {displayed:?}: {error}"),
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

fn check_canonical(name: &HostName) {
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
