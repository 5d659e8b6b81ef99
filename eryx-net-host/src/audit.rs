//! The audit log of a sandbox's network: events for the observer, and the report.

pub(crate) mod activity;
mod cause;
mod cause_map;
pub(crate) mod entry;
pub(crate) mod event;
mod event_sink;
pub(crate) mod log;
pub(crate) mod recorder;
pub(crate) mod report;
mod report_builder;
#[cfg(feature = "serde")]
mod serde;
