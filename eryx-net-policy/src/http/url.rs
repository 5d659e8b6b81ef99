//! URLs, for checks without a connection.

use eryx_http::Scheme;

use crate::escape::escape_truncated;

/// The parts of a URL that a request is made from.
pub(crate) struct Url<'a> {
    pub(crate) scheme: Scheme,
    /// The host as it was written.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The path and query, from the first `/`.
    pub(crate) target: String,
    /// Whether the URL is for a websocket.
    pub(crate) upgrade: bool,
}

impl<'a> Url<'a> {
    /// Parses a URL with the scheme `http`, `https`, `ws` or `wss`. The error is the rule that it
    /// breaks, with the correction.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("it has no scheme; write one, as in `https://api.example.com/`".to_owned());
        };
        let (scheme, upgrade) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, false),
            "https" => (Scheme::Https, false),
            "ws" => (Scheme::Http, true),
            "wss" => (Scheme::Https, true),
            _ => {
                return Err(format!(
                    "its scheme is `{}`; write `https`, `http`, `wss` or `ws`",
                    escape_truncated(scheme)
                ));
            }
        };
        if rest.contains('#') {
            return Err(
                "it has a fragment, which is not sent to servers; remove `#...`".to_owned(),
            );
        }
        let (authority, target) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err("it has a user name, which is not sent in a URL; remove it".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
            _ => (authority, scheme.default_port()),
        };
        Ok(Self {
            scheme,
            host,
            port,
            target: match target.starts_with('/') {
                true => target.to_owned(),
                false => format!("/{target}"),
            },
            upgrade,
        })
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    let port = text.parse().ok().filter(|_| is_number);
    port.ok_or_else(|| {
        format!(
            "its port is `{}`; write a number from 1 to 65535, or leave it out",
            escape_truncated(text)
        )
    })
}
