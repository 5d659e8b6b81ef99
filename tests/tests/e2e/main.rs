//! Programs in sandboxes against real peers on loopback: what a user would see, through the public API.
//!
//! One binary for all of them, since each carries the guest image.

mod asyncio_net;
mod book;
mod datagrams;
mod documents;
mod escape;
mod factory;
mod generators;
mod host_memory;
mod http;
mod limits;
mod locks;
mod namespace;
mod output;
mod page;
mod policy;
mod rebinding;
mod session;
mod shortcuts;
mod slots;
mod sockets;
mod ssl_names;
mod stage;
mod telling;
mod this_machine;
mod threats;
mod tls;
mod trust;
mod turns;
mod vectors;
mod waiting;
