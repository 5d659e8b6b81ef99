//! HTTP rules and secret bindings: what a program may request of a host, and which secrets go
//! there.

pub(crate) mod binding_error;
mod evaluate;
mod host_match;
mod message;
pub(crate) mod path_pattern;
pub(crate) mod path_pattern_error;
pub(crate) mod policy;
pub(crate) mod query_rule;
pub(crate) mod reason;
pub(crate) mod request;
pub(crate) mod rule;
pub(crate) mod rule_error;
mod rule_text;
pub(crate) mod secret_binding;
mod segments;
#[cfg(feature = "serde")]
mod serde;
mod url;
pub(crate) mod verdict;
