//! Tests of the TLS client with rustls servers, in memory or on loopback.

mod peer;

mod buffers;
mod chains;
mod closing;
mod encrypted_keys;
mod handshake;
mod resumption;
mod session;
mod settings;
mod tickets;
mod transfer;
mod trust;
mod verification;
