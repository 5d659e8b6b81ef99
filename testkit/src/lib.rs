#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "the testkit has no policy")]

mod accepted_stream;
pub mod ca;
pub mod digest;
pub mod dns;
mod fake_internet;
mod flooding_server;
pub mod forged;
pub mod http;
mod listener;
pub mod payload;
pub mod peer;
pub mod policy_vectors;
pub mod proxy;
mod request_recorder;
pub mod sealer;
pub mod server_transport;
mod throttled_socket;
mod udp_peer;
pub mod unreachable;

pub use ca::{CertificateAuthority, Identity, Leaf};
pub use dns::{Answer, NameServer, Script};
pub use fake_internet::FakeInternet;
pub use flooding_server::FloodingServer;
pub use http::HttpServer;
pub use listener::{LOOPBACK, LOOPBACK_V6, ServerHandle};
pub use peer::{Behaviour, Peer};
pub use proxy::{Proxy, ProxyBuilder, ProxyRequest};
pub use request_recorder::RequestRecorder;
pub use server_transport::{ServerTls, Transport};
pub use udp_peer::UdpPeer;
pub use unreachable::{BlackHole, ClosedPort};
