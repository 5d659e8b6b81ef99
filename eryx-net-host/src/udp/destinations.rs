//! Whom a socket has sent to, and hears.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::CloseReason;
use crate::ledger::Entry;
use crate::per_host::HostPermit;

/// Most destinations one socket has at a time. The one not sent to for longest makes room.
const MAX_PEERS: usize = 64;

/// A destination that the policy allows.
pub(super) struct Peer {
    address: SocketAddr,
    pub(super) entry: Arc<Entry>,
    _to_host: HostPermit,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, entry: Arc<Entry>, to_host: HostPermit) -> Self {
        Self {
            address,
            entry,
            _to_host: to_host,
        }
    }
}

/// The destinations of one socket, the latest last.
#[derive(Default)]
pub(super) struct Peers(Vec<Peer>);

impl Peers {
    /// Notes that `address` is sent to. Whether it is a peer.
    pub(super) fn renew(&mut self, address: SocketAddr) -> bool {
        let Some(at) = self.0.iter().position(|peer| peer.address == address) else {
            return false;
        };
        self.0[at..].rotate_left(1);
        true
    }

    /// Adds one, in place of the oldest if there are too many; `kept` stays.
    pub(super) fn add(&mut self, peer: Peer, kept: Option<SocketAddr>) {
        if self.0.len() >= MAX_PEERS
            && let Some(oldest) = self.0.iter().position(|peer| Some(peer.address) != kept)
        {
            self.0.remove(oldest).entry.close(CloseReason::LocalClose);
        }
        self.0.push(peer);
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<&Peer> {
        self.0.iter().rev().find(|peer| peer.address == address)
    }

    /// The one that was sent to last.
    pub(super) fn latest(&self) -> Option<&Peer> {
        self.0.last()
    }

    pub(super) fn close(&mut self, close_reason: CloseReason) {
        for peer in self.0.drain(..) {
            peer.entry.close(close_reason.clone());
        }
    }
}
