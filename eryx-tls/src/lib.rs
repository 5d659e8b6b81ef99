#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod buffer;
mod certificate;
mod config_builder;
mod config_cache;
mod connector;
mod crl;
mod crypto_provider;
mod digest;
mod effective_settings;
mod encode;
mod encrypted_key;
mod engine;
mod error;
mod handshake;
mod info;
mod path_search;
mod random;
mod read_budget;
mod session;
mod session_cache;
mod settings;
mod stream;
mod transport_io;
mod trust;
mod verifier;
mod x509_strict;

pub use connector::{Connector, Prepared};
pub use crl::Revocation;
pub use digest::SettingsDigest;
pub use encrypted_key::{KeyError, decrypt_key};
pub use engine::{INCOMING_LIMIT, OUTGOING_LIMIT, TICKET_LIMIT};
pub use error::TlsError;
pub use handshake::Handshake;
pub use info::{Info, Version};
pub use path_search::PathSearchCost;
pub use random::seed_random;
pub use read_budget::POLL_LIMIT;
pub use session::Session;
pub use session_cache::SessionCache;
pub use settings::{ClientSettings, Identity, limits};
pub use stream::TlsStream;
pub use trust::{TrustError, TrustStore};
