//! Requests as they are checked.

use std::net::IpAddr;

use eryx_http::Scheme;

use crate::host::Host;

/// The head of a request, as far as rules depend on it.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// Whether the connection is encrypted.
    pub scheme: Scheme,
    /// The remote host that the policy allowed the connection to: the name that was resolved, or
    /// the address. It is not taken from the request.
    pub host: &'a Host,
    /// The address that the connection was made to, if Eryx made the connection itself.
    /// Rules for networks depend on it where `host` is a name.
    pub address: Option<IpAddr>,
    /// The port that the connection was made to.
    pub port: u16,
    /// The method.
    pub method: &'a str,
    /// The path and query as they were sent, or `*`: [`RequestHead::path_and_query`].
    ///
    /// [`RequestHead::path_and_query`]: eryx_http::RequestHead::path_and_query
    pub target: &'a str,
    /// Whether the request offers to change the protocol (`Upgrade`).
    pub upgrade: bool,
}
