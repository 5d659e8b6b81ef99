//! End-to-end tests: guest programs in sandboxes against peers on loopback, through the public API.
//!
//! They share one binary, since each binary contains the guest image.

#![allow(clippy::disallowed_methods, reason = "connects to servers of the test")]

mod asyncio;
mod compression;
mod connection_limit;
mod docs_index;
mod docs_programs;
mod end_of_program;
mod environment;
mod escape;
mod events;
mod factory;
mod fastpaths;
mod files;
mod files_in_and_out;
mod fork_properties;
mod forks;
mod function_calls;
mod function_limits;
mod functions;
mod hashes;
mod host_memory;
mod http;
mod limits;
mod linux_sockets;
mod locks;
mod machine;
mod mounts;
mod native_packages;
mod netns;
mod networking_guide;
mod object_pools;
mod output;
mod package_bytecode;
mod policy;
mod proxy;
mod random;
mod random_generators;
mod rebinding;
mod requirements;
mod reuse;
mod scheduling;
mod session;
mod session_files;
mod set_up;
mod sockets;
mod ssl_reference;
mod stdlib;
mod stub_words;
mod support;
mod threads;
mod threat_model;
mod timeouts;
mod tls;
mod trust;
mod udp;
mod values;
mod vectors;
