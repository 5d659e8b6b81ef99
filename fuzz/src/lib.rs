//! Properties that hold for every input, with one function for each fuzz target.
//!
//! A function panics if a property is violated.
#![forbid(unsafe_code)]

pub mod config;
pub mod files;
pub mod http;
pub mod http_connection;
pub mod http_patterns;
pub mod parsers;
pub mod policy;
pub mod tls_chain;
pub mod tls_connection;
pub mod tls_session;
pub mod tls_stream;

// Files of the testkit, without its dependencies.
#[path = "../../testkit/src/forged.rs"]
mod forged;
mod http_outcome;
mod operations;
#[path = "../../testkit/src/sealer.rs"]
mod sealer;
mod tls_pair;
mod tls_peer;
