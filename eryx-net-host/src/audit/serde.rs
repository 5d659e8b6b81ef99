//! Serialization of events, for logs.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::audit::activity::CloseReason;
use crate::audit::event::Event;
use crate::audit::event::EventKind;
use crate::audit::http_request::HttpRequestReport;
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
            EventKind::ProxyFailed { proxy, reason } => {
                map.serialize_entry("proxy", &**proxy)?;
                map.serialize_entry("reason", reason)?;
            }
            EventKind::Denied { verdict } | EventKind::WouldDeny { verdict } => {
                map.serialize_entry("verdict", verdict)?;
            }
            EventKind::LimitReached { limit } | EventKind::Throttled { limit } => {
                map.serialize_entry("limit", limit)?;
            }
            EventKind::Connected {
                address,
                proxy,
                verdict,
                elapsed,
            } => {
                map.serialize_entry("address", address)?;
                map.serialize_entry("proxy", &proxy.as_deref())?;
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
            EventKind::HttpRequest { request } | EventKind::HttpDenied { request } => {
                request.serialize_entries(&mut map)?;
            }
            EventKind::HttpWouldDeny { verdict } => map.serialize_entry("verdict", verdict)?,
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

impl HttpRequestReport {
    fn serialize_entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("method", &self.method)?;
        map.serialize_entry("url", &self.url)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("sent_bytes", &self.sent_bytes)?;
        map.serialize_entry("received_bytes", &self.received_bytes)?;
        let time = self.time_to_first_byte.map(milliseconds);
        map.serialize_entry("time_to_first_byte_ms", &time)?;
        map.serialize_entry("duration_ms", &milliseconds(self.duration))?;
        map.serialize_entry("verdict", &self.verdict)?;
        map.serialize_entry("secrets", &self.secrets)?;
        map.serialize_entry("upgraded", &self.is_upgraded)?;
        map.serialize_entry("error", &self.error)
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
