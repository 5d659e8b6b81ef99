//! The audit log of a sandbox's network: events for the observer, and the report.

pub(crate) mod activity;
mod cause;
mod cause_map;
pub(crate) mod entry;
pub(crate) mod event;
mod event_sink;
#[cfg(feature = "serde")]
pub(crate) mod har;
pub(crate) mod http_request;
pub(crate) mod log;
pub(crate) mod recorder;
pub(crate) mod report;
mod report_builder;
#[cfg(feature = "serde")]
mod serde;
