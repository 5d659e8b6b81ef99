//! A proxy server: its protocol, its address, and the credentials for it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use eryx_net_policy::Host;

use crate::config_error::ConfigError;
use crate::proxy::credentials::{Credentials, HIDDEN};

/// The port of SOCKS (IANA, service `socks`). curl also assumes it for HTTP.
const SOCKS_PORT: u16 = 1080;

/// The port of HTTPS (RFC 9110, 4.2.2).
const HTTPS_PORT: u16 = 443;

/// A proxy server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProxyServer {
    pub(crate) protocol: ProxyProtocol,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(super) credentials: Option<Credentials>,
    name: Arc<str>,
}

/// The protocol between Eryx and a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyProtocol {
    /// `CONNECT` of HTTP/1.1 (RFC 9110, 9.3.6).
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

impl ProxyProtocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        }
    }
}

impl ProxyServer {
    /// Parses a URL such as `http://user:password@proxy.example:3128`. `http_port` is the port of
    /// `http` URLs without one; with `None` they are errors.
    ///
    /// Errors name the rule and do not repeat the text, in which a password may be anywhere.
    pub(super) fn parse(url: &str, http_port: Option<u16>) -> Result<Self, &'static str> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("it is not a URL with a scheme")?;
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => ProxyProtocol::Http,
            "https" => ProxyProtocol::Https,
            "socks5" => ProxyProtocol::Socks5,
            "socks5h" => {
                return Err(
                    "`socks5h` lets the proxy resolve names: write `socks5`, and set \
                            proxy_resolves, which says what that means for the policy",
                );
            }
            _ => return Err("its scheme is none of `http`, `https` and `socks5`"),
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        if !matches!(path, "" | "/") {
            return Err(
                "it has a path: leave that out, and percent-encode `/`, `?` and `#` in the \
                        user name and the password",
            );
        }
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo), address),
            None => (None, authority),
        };
        let credentials = userinfo.map(Credentials::parse).transpose()?;
        if let Some(credentials) = &credentials {
            check_credentials(protocol, credentials)?;
        }
        let (host, port) = split_port(address);
        let host = Host::parse(host).map_err(
            |_| "its host is neither a name nor an address; an IPv6 address needs brackets",
        )?;
        let port = match (port, protocol) {
            (Some(digits), _) => digits
                .parse()
                .ok()
                .filter(|port| *port != 0 && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or("its port is not a number from 1 to 65535")?,
            (None, ProxyProtocol::Http) => http_port.ok_or("its port is missing")?,
            (None, ProxyProtocol::Https) => HTTPS_PORT,
            (None, ProxyProtocol::Socks5) => SOCKS_PORT,
        };
        Ok(Self {
            name: format!("{}://{}", protocol.scheme(), authority_of(&host, port)).into(),
            protocol,
            host,
            port,
            credentials,
        })
    }

    /// Returns the URL without the credentials, for events and reports.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for policy files"))]
    pub(super) fn has_password(&self) -> bool {
        self.credentials
            .as_ref()
            .is_some_and(Credentials::has_password)
    }

    /// Returns the URL with the user name, and without a password.
    #[cfg_attr(not(feature = "serde"), allow(dead_code, reason = "for policy files"))]
    pub(super) fn url_with_user(&self) -> String {
        self.with_userinfo(self.credentials.as_ref().map(Credentials::encoded_user))
    }

    fn with_userinfo(&self, userinfo: Option<impl fmt::Display>) -> String {
        match userinfo {
            None => self.name.to_string(),
            Some(userinfo) => format!(
                "{}://{userinfo}@{}",
                self.protocol.scheme(),
                authority_of(&self.host, self.port)
            ),
        }
    }
}

/// curl's default port for an `http` proxy.
pub(super) const CURL_HTTP_PORT: u16 = SOCKS_PORT;

/// Returns the host and the port of a URL; an IPv6 address is in brackets (RFC 3986, 3.2.2).
pub(super) fn authority_of(host: &Host, port: u16) -> String {
    match host {
        Host::Address(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

fn split_port(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    }
}

fn check_credentials(
    protocol: ProxyProtocol,
    credentials: &Credentials,
) -> Result<(), &'static str> {
    match protocol {
        // RFC 7617, 2.
        ProxyProtocol::Http | ProxyProtocol::Https if credentials.user().contains(':') => {
            Err("its user name has a `:`, which HTTP cannot send")
        }
        // RFC 1929, 2.
        ProxyProtocol::Socks5
            if ![credentials.user(), credentials.password()]
                .iter()
                .all(|text| (1..=255).contains(&text.len())) =>
        {
            Err("SOCKS needs a user name and a password of 1 to 255 bytes each")
        }
        _ => Ok(()),
    }
}

impl fmt::Display for ProxyServer {
    /// Writes the URL, with `***` for the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_userinfo(self.credentials.as_ref().map(|_| HIDDEN)))
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns the error of a URL from `origin` that breaks `rule`.
pub(super) fn url_error(origin: &str, rule: &str) -> ConfigError {
    ConfigError::Proxy(format!(
        "{origin} cannot be used: {rule}; write it as in `http://proxy.example:3128`, \
         `https://user:password@proxy.example` or `socks5://192.0.2.7:1080`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_a_port_and_perhaps_credentials() {
        use ProxyProtocol::{Http, Https, Socks5};
        let table = [
            (
                "http://Proxy.Example:3128",
                Http,
                "http://proxy.example:3128",
            ),
            ("HTTP://proxy:3128/", Http, "http://proxy:3128"),
            ("http://[2001:DB8::7]:80", Http, "http://[2001:db8::7]:80"),
            ("https://proxy.example", Https, "https://proxy.example:443"),
            ("https://user@proxy:8443", Https, "https://proxy:8443"),
            ("socks5://192.0.2.7", Socks5, "socks5://192.0.2.7:1080"),
            ("socks5://u:p@[::1]", Socks5, "socks5://[::1]:1080"),
            ("http://u:p@ss@proxy:1", Http, "http://proxy:1"),
        ];
        for (url, protocol, name) in table {
            let server = ProxyServer::parse(url, None).expect(url);
            assert_eq!((server.protocol, &**server.name()), (protocol, name));
            let shown = name.replace("://", "://***@");
            let shown = if url.contains('@') { &shown } else { name };
            assert_eq!(format!("{server} {server:?}"), format!("{shown} {shown}"));
        }
        assert_eq!(
            ProxyServer::parse("http://proxy", Some(1080)).map(|p| p.port),
            Ok(1080)
        );
        let server = ProxyServer::parse("http://us%20er:pass@proxy:1", None).expect("valid");
        assert!(server.has_password());
        assert_eq!(server.url_with_user(), "http://us%20er@proxy:1");
    }

    #[test]
    fn an_invalid_url_is_an_error_that_does_not_repeat_it() {
        for url in [
            "",
            "proxy:3128",
            "user:secret@proxy:3128",
            "ftp://user:secret@proxy:21",
            "socks4://secret:1080",
            "socks5h://user:secret@proxy:1080",
            "http://proxy",
            "http://user:secret",
            "http://proxy:0",
            "http://proxy:65536",
            "http://proxy:+80",
            "http://proxy:80/secret",
            "http://user:sec/ret@proxy:80",
            "http://2001:db8::7:80",
            "http://127.1:80",
            "http://:80",
            "http://user:secret@:80",
            "http://us%3Aer:secret@proxy:80",
            "socks5://user@proxy",
            "socks5://user:@proxy",
            "http://a b:80",
        ] {
            let error = ProxyServer::parse(url, None).expect_err(url);
            assert!(
                !error.contains("secret") && !error.contains("user@"),
                "{error}"
            );
        }
        let long = format!("socks5://u:{}@proxy", "x".repeat(256));
        assert!(ProxyServer::parse(&long, None).is_err());
    }
}
