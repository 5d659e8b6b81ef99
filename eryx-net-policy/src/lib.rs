#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod builder;
mod defaults;
mod denied;
mod host;
mod host_error;
mod name;
mod name_tree;
mod network;
mod pattern;
mod pattern_error;
mod policy;
mod port;
mod prefix_tree;
mod quote;
mod rule;
mod rule_set;
mod sentence;
#[cfg(feature = "serde")]
mod serialized;
mod transport;
mod udp_pattern;
mod verdict;
mod wording;

pub use builder::PolicyBuilder;
pub use defaults::{default_blocked_hosts, default_blocked_patterns, loopback_patterns};
pub use denied::Denied;
pub use host::Host;
pub use host_error::{HostError, HostErrorKind};
pub use name::HostName;
pub use network::{IpNetwork, IpNetworkError, IpNetworkErrorKind};
pub use pattern::HostPattern;
pub use pattern_error::{PatternError, PatternErrorKind};
pub use policy::Policy;
pub use port::{Port, PortRange};
pub use quote::{escape, quote, quote_word};
pub use rule::{List, Rule};
pub use udp_pattern::UdpPattern;
pub use verdict::{Decision, Reason, Verdict};
pub use wording::HintStyle;
