//! Serialization of events, for logs.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::audit::activity::CloseReason;
use crate::audit::event::Event;
use crate::audit::event::EventKind;
use crate::limits::kind::NetLimit;

impl Serialize for Event {
    /// Writes one flat object. `event` is the kind, which decides the other fields. Times are in
    /// milliseconds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("execution", &self.execution)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("event", self.kind.as_str())?;
        map.serialize_entry("host", &*self.host)?;
        map.serialize_entry("port", &self.port)?;
        map.serialize_entry("activity", self.activity.as_str())?;
        map.serialize_entry("count", &self.count)?;
        match &self.kind {
            EventKind::Resolved {
                aliases,
                addresses,
                elapsed,
            } => {
                map.serialize_entry("aliases", aliases)?;
                map.serialize_entry("addresses", addresses)?;
                map.serialize_entry("elapsed_ms", &milliseconds(*elapsed))?;
            }
            EventKind::Unresolved { reason } => map.serialize_entry("reason", reason)?,
            EventKind::Denied { verdict } | EventKind::WouldDeny { verdict } => {
                map.serialize_entry("verdict", verdict)?;
            }
            EventKind::LimitReached { limit } | EventKind::Throttled { limit } => {
                map.serialize_entry("limit", limit)?;
            }
            EventKind::Connected {
                address,
                verdict,
                elapsed,
            } => {
                map.serialize_entry("address", address)?;
                map.serialize_entry("verdict", verdict)?;
                map.serialize_entry("elapsed_ms", &milliseconds(*elapsed))?;
            }
            EventKind::Tls {
                version,
                cipher,
                server_name,
            } => {
                map.serialize_entry("version", version)?;
                map.serialize_entry("cipher", cipher)?;
                map.serialize_entry("server_name", server_name)?;
            }
            EventKind::Closed {
                sent,
                received,
                duration,
                close_reason,
            } => {
                map.serialize_entry("sent", sent)?;
                map.serialize_entry("received", received)?;
                map.serialize_entry("duration_ms", &milliseconds(*duration))?;
                map.serialize_entry("close_reason", close_reason.as_str())?;
                let error = match close_reason {
                    CloseReason::Error(error) => Some(error.to_string()),
                    _ => None,
                };
                map.serialize_entry("error", &error)?;
            }
        }
        map.end()
    }
}

impl Serialize for NetLimit {
    /// Writes the name of the setting.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.setting())
    }
}

/// Returns milliseconds, rounded to microseconds.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
