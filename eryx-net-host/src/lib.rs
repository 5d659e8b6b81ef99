#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod admission;
mod attempts;
mod config;
mod config_error;
mod connection;
mod datagram;
mod datagram_socket;
mod dial;
mod encrypted;
mod error;
mod establish;
mod event;
mod fixed_hosts;
mod judge;
mod keep_alive;
mod ledger;
mod limit;
mod lookup;
mod meter;
mod name_server;
mod network;
mod pace;
mod patience;
mod per_host;
mod permit;
mod plain;
mod prompt;
pub mod readiness;
mod recorder;
mod remembered;
mod report;
mod resolve;
mod rewound;
mod stream;
mod tls_session;

pub use eryx_net_policy as policy;
pub use eryx_tls as tls;

pub use config::NetConfig;
pub use config_error::ConfigError;
pub use connection::{Connection, MAX_READ, Phase, Shutdown};
pub use datagram::{Datagram, MAX_DATAGRAM};
pub use datagram_socket::DatagramSocket;
pub use error::{NetError, TlsFailure};
pub use event::{End, Event, EventKind, Observer};
pub use fixed_hosts::FixedHosts;
pub use keep_alive::KeepAlive;
pub use limit::NetLimit;
pub use lookup::{Family, Lookup};
pub use name_server::NameServers;
pub use network::Network;
pub use recorder::Recorder;
pub use report::{Activity, ConnectionReport, NetworkReport};
pub use resolve::{Answer, Resolve, ResolveError, Resolving};
pub use tls_session::TlsSession;
