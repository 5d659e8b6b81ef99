#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod bearer_token;
mod file_bytes;
mod http;
mod instructions;
mod message_id;
mod options;
mod program_output;
mod progress;
mod resource_uri;
mod resources;
mod saved_sessions;
mod server;
mod session_files;
mod sessions;
mod stdio;
mod stdio_transport;
mod tool_result;
mod tools;

pub use bearer_token::{BearerToken, BearerTokenError};
pub use http::{HttpError, HttpOptions};
pub use options::{Options, OptionsError};
pub use server::Server;
