//! End-to-end tests: guest programs in sandboxes against peers on loopback, through the public API.
//!
//! They share one binary, since each binary contains the guest image.

#![allow(clippy::disallowed_methods, reason = "connects to servers of the test")]

mod asyncio;
mod connection_limit;
mod docs_index;
mod docs_programs;
mod environment;
mod escape;
mod events;
mod factory;
mod fastpaths;
mod files;
mod files_in_and_out;
mod forks;
mod function_limits;
mod functions;
mod host_memory;
mod http;
mod limits;
mod locks;
mod machine;
mod netns;
mod networking_guide;
mod output;
mod policy;
mod proxy;
mod random_generators;
mod rebinding;
mod scheduling;
mod session;
mod sockets;
mod ssl_reference;
mod support;
mod threat_model;
mod timeouts;
mod tls;
mod trust;
mod udp;
mod values;
mod vectors;
