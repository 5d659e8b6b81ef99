//! The URL and the port of a request.

use std::fmt::Write;

use eryx_http::RequestHead;

use crate::http::inspector::Inspector;
use crate::http::target::{Peer, with_brackets};

impl Inspector {
    /// Returns the port that a request is for, and after it all others that it may go to.
    pub(super) fn ports_of(&self, head: &RequestHead) -> Vec<u16> {
        let port = self
            .peer
            .port
            .unwrap_or_else(|| named_port(head).unwrap_or(self.peer.scheme.default_port()));
        let others = self.tunnel_ports.iter().copied();
        std::iter::once(port)
            .chain(others.filter(|&other| other != port))
            .collect()
    }

    /// Returns the URL of a request for the log and for messages, without placeholders and without
    /// values of query parameters that can hold secrets.
    pub(super) fn url(&self, head: &RequestHead, port: u16) -> String {
        let target = head.path_and_query();
        let mut url = self.url_without_path(port, target.len());
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        // The target `*` is for the server as a whole: a URI without a path (RFC 9112, 3.3).
        if path != "*" {
            url.push_str(path);
        }
        let is_secret = |name: &str| {
            let mut secrets = self.context.policy().secrets().iter();
            secrets.any(|binding| binding.query().iter().any(|other| **other == *name))
        };
        for (index, parameter) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            match parameter.split_once('=') {
                Some((name, _)) if is_secret(name) => {
                    url.push_str(name);
                    url.push_str("=REDACTED");
                }
                _ => url.push_str(parameter),
            }
        }
        self.context.secrets.redacted(url)
    }

    /// Returns the URL of a request whose target is not known, because it is malformed.
    pub(super) fn url_of_malformed_request(&self) -> String {
        let port = self.peer.port.unwrap_or(self.peer.scheme.default_port());
        let mut url = self.url_without_path(port, "/".len());
        url.push('/');
        url
    }

    /// Returns a URL without its path, which has `path_length` bytes.
    fn url_without_path(&self, port: u16, path_length: usize) -> String {
        let length = self.scheme_and_host.len() + ":65535".len() + path_length;
        let mut url = String::with_capacity(length);
        url.push_str(&self.scheme_and_host);
        if port != self.peer.scheme.default_port() {
            write!(url, ":{port}").expect("a string takes all");
        }
        url
    }
}

/// Returns the scheme and the host of the URLs of a peer.
pub(super) fn scheme_and_host(peer: &Peer) -> String {
    format!("{}://{}", peer.scheme.as_str(), with_brackets(&peer.host))
}

/// Returns the port in `Host`.
fn named_port(head: &RequestHead) -> Option<u16> {
    let host = head.fields().first("host")?;
    let colon = host.iter().rposition(|&byte| byte == b':')?;
    let port = &host[colon + 1..];
    // The colons of an IPv6 address without a port end in a bracket, which is not a digit.
    str::from_utf8(port).ok()?.parse().ok()
}
