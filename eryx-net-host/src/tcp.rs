//! TCP connections of the guest: connecting, reading and writing, TLS, readiness and closing.
//!
//! The layers of a connection, from the program to the kernel:
//!
//! ```text
//! InspectedStream    only on connections whose HTTP is inspected
//! TlsConnection      only with TLS of the program
//! PrefixedStream     first the bytes that a layer above had read too much, then the transport's
//! Transport          TCP, or TLS to a proxy over TCP
//! LazyTcpStream      the system call first, the reactor only to wait
//! ```

mod attempt;
mod close;
pub(crate) mod connect;
pub(crate) mod connection;
mod dial;
mod established;
mod happy_eyeballs;
mod inline_poll;
mod inspected_stream;
pub(crate) mod keepalive;
pub(crate) mod lazy_tcp_stream;
mod prefixed_stream;
mod proxy_route;
mod proxy_route_error;
mod proxy_tls;
pub(crate) mod read_size;
mod read_write;
mod readiness;
mod start_tls;
pub(crate) mod state;
mod tls_connection;
mod transport;
mod tunnel;
