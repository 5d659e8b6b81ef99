//! The URL and the port of a request.

use std::fmt::Write;
use std::net::IpAddr;

use eryx_http::RequestHead;
use eryx_net_policy::Host;

use crate::http::inspector::Inspector;

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
        let scheme = self.peer.scheme;
        let host = match &self.peer.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            host => host.to_string(),
        };
        let mut url = format!("{}://{host}", scheme.as_str());
        if port != scheme.default_port() {
            write!(url, ":{port}").expect("a string takes all");
        }
        let target = head.path_and_query();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        // The target `*` is for the server as a whole: a URI without a path (RFC 9112, 3.3).
        if path != "*" {
            url.push_str(path);
        }
        let secrets = self.context.policy().secrets().iter();
        let secret_parameters: Vec<&str> = secrets
            .flat_map(|binding| binding.query().iter().map(AsRef::as_ref))
            .collect();
        for (index, parameter) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            match parameter.split_once('=') {
                Some((name, _)) if secret_parameters.contains(&name) => {
                    url.push_str(name);
                    url.push_str("=REDACTED");
                }
                _ => url.push_str(parameter),
            }
        }
        self.context.secrets.redacted(url)
    }
}

/// Returns the port in `Host`.
fn named_port(head: &RequestHead) -> Option<u16> {
    let host = head.fields().first("host")?;
    let colon = host.iter().rposition(|&byte| byte == b':')?;
    let port = &host[colon + 1..];
    // The colons of an IPv6 address without a port end in a bracket, which is not a digit.
    str::from_utf8(port).ok()?.parse().ok()
}
