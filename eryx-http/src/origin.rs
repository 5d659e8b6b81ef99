//! The origin that a connection is for.

use core::net::Ipv6Addr;
use std::fmt;

/// The scheme of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Clear text; the default port is 80.
    Http,
    /// TLS; the default port is 443.
    Https,
}

impl Scheme {
    /// Returns the scheme in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the default port (RFC 9110, 4.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The scheme, host and port that the requests of a connection are for (RFC 9110, 4.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: Box<str>,
    /// `None`: any port.
    port: Option<u16>,
}

impl Origin {
    /// Returns the origin of a connection to a canonical host, with IPv6 addresses without
    /// brackets.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Self {
        Self {
            scheme,
            host: host.to_ascii_lowercase().into(),
            port: Some(port),
        }
    }

    /// Returns the origin of a connection whose port is not known, because it leads through a
    /// tunnel: requests may name any port.
    pub fn with_any_port(scheme: Scheme, host: &str) -> Self {
        Self {
            port: None,
            ..Self::new(scheme, host, 0)
        }
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, or `None` for any port.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns whether `authority` is the host and port of this origin.
    ///
    /// Names are compared without regard to case, IPv6 addresses by value. The port can be left out
    /// if it is the default port. User names, an empty port, ports with leading zeros and the root
    /// dot of a name do not match, because servers disagree about them.
    pub fn matches(&self, authority: &[u8]) -> bool {
        let Ok(authority) = str::from_utf8(authority) else {
            return false;
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_port_equal = match port {
            Some(port) => match self.port {
                Some(expected) => port == expected.to_string(),
                None => port
                    .parse()
                    .is_ok_and(|number: u16| port == number.to_string()),
            },
            None => self
                .port
                .is_none_or(|port| port == self.scheme.default_port()),
        };
        is_port_equal && self.is_host(host)
    }

    fn is_host(&self, host: &str) -> bool {
        match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(address) => match (address.parse::<Ipv6Addr>(), self.host.parse::<Ipv6Addr>()) {
                (Ok(address), Ok(expected)) => address == expected,
                _ => false,
            },
            None => !self.host.contains(':') && host.eq_ignore_ascii_case(&self.host),
        }
    }

    /// Returns the form in which `Host` has this origin: without the default port.
    pub(crate) fn authority(&self) -> Box<str> {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.to_string(),
        };
        match self.port {
            Some(port) if port != self.scheme.default_port() => format!("{host}:{port}").into(),
            _ => host.into(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_matches_in_its_canonical_forms_only() {
        let https = Origin::new(Scheme::Https, "API.example.com", 443);
        let other = Origin::new(Scheme::Https, "api.example.com", 8443);
        let http = Origin::new(Scheme::Http, "api.example.com", 80);
        let ipv6 = Origin::new(Scheme::Http, "2001:db8::1", 8080);
        let ipv6_default = Origin::new(Scheme::Http, "2001:db8::1", 80);
        for (origin, authority, expected) in [
            (&https, "api.example.com", true),
            (&https, "Api.Example.Com:443", true),
            (&https, "api.example.com:80", false),
            (&https, "api.example.com:", false),
            (&https, "api.example.com:0443", false),
            (&https, "api.example.com:+443", false),
            (&https, "api.example.com.", false),
            (&https, "user@api.example.com", false),
            (&https, "api.example.com:443:443", false),
            (&https, " api.example.com", false),
            (&https, "api.example.com, api.example.com", false),
            (&https, "", false),
            (&https, ":443", false),
            (&other, "api.example.com", false),
            (&other, "api.example.com:8443", true),
            (&http, "api.example.com", true),
            (&http, "api.example.com:443", false),
            (&ipv6, "[2001:db8::1]:8080", true),
            (&ipv6, "[2001:DB8:0::1]:8080", true),
            (&ipv6, "[2001:db8::1]", false),
            (&ipv6_default, "[2001:db8::1]", true),
            (&ipv6_default, "[2001:db8::1]:80", true),
            (&ipv6_default, "[2001:db8::1", false),
            (&ipv6_default, "2001:db8::1", false),
            (&ipv6, "2001:db8::1:8080", false),
            (&ipv6, "[2001:db8::2]:8080", false),
        ] {
            assert_eq!(
                origin.matches(authority.as_bytes()),
                expected,
                "{authority}"
            );
        }
        let any = Origin::with_any_port(Scheme::Https, "api.example.com");
        for (authority, expected) in [
            ("api.example.com", true),
            ("api.example.com:8443", true),
            ("api.example.com:08443", false),
            ("api.example.com:", false),
            ("api.example.com:65536", false),
            ("other.example.com", false),
        ] {
            assert_eq!(any.matches(authority.as_bytes()), expected, "{authority}");
        }
        assert_eq!(ipv6.to_string(), "http://[2001:db8::1]:8080");
        assert_eq!(https.to_string(), "https://api.example.com");
    }
}
