//! Properties that hold for every input, with one function for each fuzz target.
//!
//! A function panics if a property is violated.
#![forbid(unsafe_code)]

pub mod config;
pub mod files;
pub mod http;
pub mod http_connection;
pub mod http_patterns;
pub mod json;
pub mod mcp;
pub mod native_linker;
pub mod parsers;
pub mod policy;
pub mod snapshots;
pub mod tls_chain;
pub mod tls_connection;
pub mod tls_session;
pub mod tls_stream;

// Files of the testkit, without its dependencies.
#[path = "../../testkit/src/forged.rs"]
mod forged;
mod http_outcome;
// Without the rest of its crate, which compiles wasmtime.
#[allow(dead_code, unreachable_pub, reason = "the crate uses the rest")]
#[path = "../../eryx-core/src/json_value.rs"]
mod json_value;
mod operations;
mod provided_content;
#[path = "../../testkit/src/sealer.rs"]
mod sealer;
mod tls_pair;
mod tls_peer;

// Files of `eryx-mcp`, without its server.
#[allow(dead_code, unreachable_pub, reason = "the crate uses the rest")]
#[path = "../../eryx-mcp/src/arguments.rs"]
mod arguments;
#[allow(dead_code, reason = "the crate uses the rest")]
#[path = "../../eryx-mcp/src/resource_uri.rs"]
mod resource_uri;

// Files of `eryx-core`, without wasmtime.
#[allow(dead_code, reason = "`eryx-core` uses the rest")]
#[path = "../../eryx-core/src/session_snapshot.rs"]
mod session_snapshot;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "`eryx-core` uses and exports the rest"
)]
#[path = "../../eryx-core/src/snapshot_error.rs"]
mod snapshot_error;
mod time_slice;

// A file of the tests of `eryx-guest-linker`.
#[path = "../../eryx-guest-linker/src/link/test_image.rs"]
mod test_image;
use eryx_guest_linker::{symbols, yield_points};
