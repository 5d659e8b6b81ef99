//! TCP connections of the guest: connecting, reading and writing, TLS, readiness and closing.

mod close;
pub(crate) mod connect;
pub(crate) mod connect_budget;
pub(crate) mod connection;
mod established;
pub(crate) mod happy_eyeballs;
mod inspected_stream;
pub(crate) mod keepalive;
mod prefixed_stream;
mod proxy_tls;
pub(crate) mod read_size;
mod read_write;
mod readiness;
mod route;
mod route_error;
mod start_tls;
pub(crate) mod state;
mod stream;
mod tls_stream;
mod transport;
mod tunnel;
