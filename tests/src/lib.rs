#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod authority;
pub mod digest;
pub mod dns;
pub mod forged;
pub mod http;
mod listening;
pub mod pattern;
pub mod peer;
pub mod sealer;
mod stream;
pub mod transport;
mod udp_peer;
pub mod unreachable;
mod wire;
mod world;

pub use authority::{Authority, Identity, Leaf};
pub use dns::{Answer, NameServer, Script};
pub use http::HttpServer;
pub use listening::{LOOPBACK, LOOPBACK_V6};
pub use peer::{Behaviour, Peer};
pub use transport::{ServerTls, Transport};
pub use udp_peer::UdpPeer;
pub use unreachable::{BlackHole, ClosedPort};
pub use world::World;
