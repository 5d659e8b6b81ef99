//! Tests of the TLS client with rustls servers, in memory or on loopback.

#![allow(clippy::disallowed_methods, reason = "connects to servers of the test")]

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
