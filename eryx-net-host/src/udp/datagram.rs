//! What arrives in one piece.

use std::net::SocketAddr;

/// The most bytes a datagram carries over IPv4: 65,535, less the headers of IPv4 and UDP (RFC 768).
pub const MAX_DATAGRAM: usize = 65_507;

/// A datagram that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// What it carried, cut to what was asked for.
    pub data: Vec<u8>,
    /// How much it carried.
    pub size: usize,
    /// Whom it is from.
    pub source: SocketAddr,
}

impl Datagram {
    pub(crate) fn cut(mut data: Vec<u8>, max: usize, source: SocketAddr) -> Self {
        let size = data.len();
        data.truncate(max);
        Self { data, size, source }
    }
}
