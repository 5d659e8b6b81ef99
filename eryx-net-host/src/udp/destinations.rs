//! A UDP socket's destinations: the addresses it has sent to, and the only ones it receives from.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::audit::activity::CloseReason;
use crate::audit::entry::AuditEntry;
use crate::limits::per_host::HostPermit;

/// The most destinations of one socket. The least recently used one is evicted first.
const MAX_DESTINATIONS: usize = 64;

/// A destination that the policy allows.
pub(super) struct Destination {
    pub(super) address: SocketAddr,
    pub(super) entry: Arc<AuditEntry>,
    pub(super) _permit: HostPermit,
}

/// The destinations of one socket, the most recently used last.
#[derive(Default)]
pub(super) struct Destinations(Vec<Destination>);

impl Destinations {
    /// Makes `address` the most recently used destination. Returns whether it is one.
    pub(super) fn touch(&mut self, address: SocketAddr) -> bool {
        let Some(at) = self.0.iter().position(|other| other.address == address) else {
            return false;
        };
        self.0[at..].rotate_left(1);
        true
    }

    /// Adds a destination, and evicts the least recently used one if there are too many, but never
    /// the `connected` one.
    pub(super) fn add(&mut self, destination: Destination, connected: Option<SocketAddr>) {
        if self.0.len() >= MAX_DESTINATIONS
            && let Some(oldest) = self
                .0
                .iter()
                .position(|other| Some(other.address) != connected)
        {
            self.0.remove(oldest).entry.close(CloseReason::LocalClose);
        }
        self.0.push(destination);
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<&Destination> {
        self.0.iter().rev().find(|other| other.address == address)
    }

    /// Returns the most recently used destination.
    pub(super) fn latest(&self) -> Option<&Destination> {
        self.0.last()
    }

    /// Records the end of all destinations.
    pub(super) fn close(&mut self, close_reason: &CloseReason) {
        for destination in self.0.drain(..) {
            destination.entry.close(close_reason.clone());
        }
    }
}
