//! Parses a host and a port on the command line.

/// An argument of `eryx policy check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// The host, unparsed: for a malformed host the policy's verdict explains the problem.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Parses `example.com:443`, `192.0.2.7:53` or `[2001:db8::7]:443`.
pub(crate) fn parse(text: &str) -> Result<HostPort, String> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = host.rsplit('@').next().unwrap_or(host);
        return Err(format!(
            "`{text}` is a URL; write the host and its port alone, such as `{}`",
            with_port(host)
        ));
    }
    let (host, port) = match text.rsplit_once(':') {
        // An IPv6 address without brackets.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => {
            return Err(missing_port(text));
        }
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => return Err(missing_port(text)),
    };
    if host.is_empty() {
        return Err(format!(
            "`{text}` has no host; write one before the port, such as `example.com{text}`"
        ));
    }
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port != 0 => Ok(HostPort {
            host: host.to_owned(),
            port,
        }),
        _ => Err(format!(
            "`{port}` in `{text}` is not a port; write a number from 1 to 65535, such as `{host}:443`"
        )),
    }
}

/// Returns the message for a host without a port.
fn missing_port(text: &str) -> String {
    format!(
        "`{text}` has no port, and a policy may depend on it; write `{}`, or another port",
        with_port(text)
    )
}

/// Returns the host with a port, and with the brackets that an IPv6 address then needs.
fn with_port(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((before, _)) if before.contains(':') && !host.starts_with('[') => {
            format!("[{host}]:443")
        }
        Some((before, _)) if !host.ends_with(']') && !before.is_empty() => host.to_owned(),
        _ => format!("{host}:443"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_split() {
        for (text, host, port) in [
            ("example.com:443", "example.com", 443),
            ("192.0.2.7:53", "192.0.2.7", 53),
            ("[2001:db8::7]:443", "[2001:db8::7]", 443),
            ("127.1:80", "127.1", 80),
            ("a b:65535", "a b", 65535),
        ] {
            let expected = HostPort {
                host: host.to_owned(),
                port,
            };
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_malformed_argument_is_an_error_that_says_what_to_write() {
        for (text, wanted) in [
            ("example.com", "write `example.com:443`"),
            ("192.0.2.7", "write `192.0.2.7:443`"),
            ("2001:db8::7", "write `[2001:db8::7]:443`"),
            ("::1", "write `[::1]:443`"),
            ("[::1]", "write `[::1]:443`"),
            ("2001:db8::7:443", "write `[2001:db8::7:443]:443`"),
            ("", "has no port"),
            (
                ":443",
                "write one before the port, such as `example.com:443`",
            ),
            ("example.com:", "`` in `example.com:` is not a port"),
            ("example.com:https", "`https` in `example.com:https`"),
            ("example.com:0", "a number from 1 to 65535"),
            ("example.com:65536", "a number from 1 to 65535"),
            ("example.com:+80", "a number from 1 to 65535"),
            ("https://example.com/a", "such as `example.com:443`"),
            ("http://u@example.com:8080/", "such as `example.com:8080`"),
            ("https://[::1]/", "such as `[::1]:443`"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(wanted), "{text}: no {wanted} in {error}");
        }
    }
}
