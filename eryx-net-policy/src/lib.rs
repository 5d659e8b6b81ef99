#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod cidr;
mod decision;
mod defaults;
mod escape;
mod hint_style;
mod host;
mod host_error;
mod host_name;
mod http;
mod label_trie;
mod message;
mod outcome;
mod pattern;
mod pattern_error;
mod policy;
mod port;
mod prefix_trie;
mod reached_addresses;
mod rule;
mod rule_set;
#[cfg(feature = "serde")]
mod serde;
mod udp_pattern;
mod verdict;

pub use builder::PolicyBuilder;
pub use cidr::{IpNetwork, IpNetworkError, IpNetworkErrorKind};
pub use decision::{Decision, Reason, Transport};
pub use defaults::{default_blocked_hosts, default_blocked_patterns, loopback_patterns};
pub use escape::{escape, escape_truncated, quote_word};
pub use hint_style::HintStyle;
pub use host::Host;
pub use host_error::{HostError, HostErrorKind};
pub use host_name::HostName;
pub use http::binding_error::SecretBindingError;
pub use http::path_pattern::PathPattern;
pub use http::path_pattern_error::{PathPatternError, PathPatternErrorKind};
pub use http::policy::{HttpPolicy, HttpPolicyError};
pub use http::query_rule::QueryRule;
pub use http::reason::{HttpReason, Inspection};
pub use http::request::HttpRequest;
pub use http::rule::HttpRule;
pub use http::rule_error::HttpRuleError;
pub use http::secret_binding::SecretBinding;
pub use http::verdict::HttpVerdict;
pub use pattern::HostPattern;
pub use pattern_error::{PatternError, PatternErrorKind};
pub use policy::Policy;
pub use port::{Port, PortRange};
pub use reached_addresses::reached_addresses;
pub use rule::{List, Rule};
pub use udp_pattern::UdpPattern;
pub use verdict::{Denied, Verdict};
