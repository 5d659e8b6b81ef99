#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod buffer;
mod certificate;
mod chain;
mod channel;
mod configs;
mod connector;
mod digest;
mod encrypted_key;
mod engine;
mod error;
mod handshake;
mod info;
mod intake;
mod outbox;
mod random;
mod resumption;
mod revocation;
mod session;
mod settings;
mod stream;
mod strictness;
mod suites;
mod trust;
mod verifier;
mod wanted;

pub use chain::Effort;
pub use connector::{Connector, Prepared};
pub use digest::SettingsDigest;
pub use encrypted_key::{KeyError, decrypt_key};
pub use engine::{INCOMING_LIMIT, OUTGOING_LIMIT, TICKET_LIMIT};
pub use error::TlsError;
pub use handshake::Handshake;
pub use info::{Info, Version};
pub use intake::POLL_LIMIT;
pub use random::seed_random;
pub use resumption::SessionCache;
pub use revocation::Revocation;
pub use session::Session;
pub use settings::{ClientSettings, Identity, limits};
pub use stream::TlsStream;
pub use trust::{TrustError, TrustStore};
