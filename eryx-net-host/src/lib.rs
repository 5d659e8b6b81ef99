#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod admission;
mod audit;
mod bounded_cache;
mod checked_lookup;
mod config;
mod config_error;
mod connect_budget;
mod connection_limits;
mod context;
mod dns;
mod error;
mod host_memory;
mod http;
mod limits;
mod literal_check;
mod local_endpoint;
mod lookup;
mod network;
mod own_addresses;
pub mod poll;
mod proxy;
mod server_name_check;
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
pub use audit::report::{ConnectionReport, NetworkReport, Refusals, RefusedAttempt};
pub use config::NetConfig;
pub use config::http::{HttpDenials, ProvideSecret, ProvideSecretError, Secret};
pub use config::settings::{AddEntry, Setting, SettingKind};
pub use config::settings_macros::SETTINGS;
pub use config_error::ConfigError;
#[cfg(feature = "dns")]
pub use dns::client::DnsResolver;
pub use dns::resolver::{Answer, Resolve, ResolveError, Resolving};
pub use dns::static_hosts::StaticHosts;
pub use error::{NetError, TlsFailure};
pub use host_memory::{Charge, HostMemory, HostMemoryFull};
pub use limits::kind::NetLimit;
pub use lookup::{Family, Lookup};
pub use network::Network;
pub use proxy::setting::Proxy;
pub use tcp::connection::Connection;
pub use tcp::keepalive::KeepaliveOption;
pub use tcp::lazy_tcp_stream::ConnectionStatus;
pub use tcp::read_size::MAX_READ;
pub use tcp::state::{Phase, Shutdown};
pub use tls_session::TlsSession;
pub use udp::socket::{Datagram, MAX_DATAGRAM, UdpSocket};
