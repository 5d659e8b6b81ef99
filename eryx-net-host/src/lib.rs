#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod admission;
mod audit;
mod bounded_cache;
mod config;
mod context;
mod dns;
mod error;
mod host_memory;
mod http;
mod limits;
mod network;
mod own_addresses;
mod policy_check;
pub mod poll;
mod proxy;
mod socket_limits;
mod tcp;
mod tls_session;
mod udp;

pub use eryx_net_policy as policy;
pub use eryx_tls as tls;

pub use audit::activity::{Activity, CloseReason};
pub use audit::event::{Event, EventKind, Observer};
#[cfg(feature = "serde")]
pub use audit::har::Har;
pub use audit::http_request::HttpRequestReport;
pub use audit::recorder::Recorder;
pub use audit::report::{Attempt, ConnectionReport, NetworkReport, Refusals};
pub use config::NetConfig;
pub use config::error::ConfigError;
pub use config::generated::SETTINGS;
pub use config::http::{HttpDenials, ProvideSecret, ProvideSecretError, Secret};
pub use config::settings::{AddEntry, Setting, SettingKind};
#[cfg(feature = "dns")]
pub use dns::client::DnsResolver;
pub use dns::lookup::{Family, Lookup};
pub use dns::resolver::{Answer, Resolve, ResolveError, Resolving};
pub use dns::static_hosts::StaticHosts;
pub use error::{NetError, TlsFailure};
pub use host_memory::{Charge, HostMemory, HostMemoryFull};
pub use limits::kind::NetLimit;
pub use network::Network;
pub use proxy::setting::Proxy;
pub use tcp::connection::Connection;
pub use tcp::keepalive::KeepaliveOption;
pub use tcp::read_size::MAX_READ;
pub use tcp::state::{ConnectionStatus, Phase, Shutdown};
pub use tls_session::TlsSession;
pub use udp::socket::{Datagram, MAX_DATAGRAM, UdpSocket};
