//! The embedder's proxy: its URL and credentials, and the protocols that ask it for a tunnel. No
//! I/O is done here.

mod credentials;
mod environment;
pub(crate) mod error;
pub(crate) mod handshake;
mod http_connect;
pub(crate) mod placeholder_addresses;
pub(crate) mod server;
pub(crate) mod setting;
mod socks5;
pub(crate) mod target;
