//! The arguments of `eryx policy check`: hosts with ports, and methods with URLs.

use anyhow::{Result, bail};

use crate::host_port::{self, HostPort};

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CheckTarget {
    Host(HostPort),
    /// A method, which a URL follows.
    Method(String),
    Url(String),
}

/// What to check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CheckedTarget<'a> {
    Host(&'a HostPort),
    Request { method: &'a str, url: &'a str },
}

/// Parses one argument. A word of letters alone is a method.
pub(crate) fn parse(text: &str) -> Result<CheckTarget, String> {
    if text.contains("://") {
        return Ok(CheckTarget::Url(text.to_owned()));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return Ok(CheckTarget::Method(text.to_owned()));
    }
    host_port::parse(text).map(CheckTarget::Host)
}

/// Joins each method with the URL after it.
///
/// # Errors
///
/// Fails for a method without a URL, and for a URL without a method.
pub(crate) fn pair(targets: &[CheckTarget]) -> Result<Vec<CheckedTarget<'_>>> {
    let mut checked = Vec::new();
    let mut rest = targets;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        checked.push(match (first, after) {
            (CheckTarget::Host(host), _) => CheckedTarget::Host(host),
            (CheckTarget::Method(method), [CheckTarget::Url(url), after @ ..]) => {
                rest = after;
                CheckedTarget::Request { method, url }
            }
            (CheckTarget::Method(method), _) => bail!(
                "`{method}` has no URL behind it; write `{method} https://example.com/`, or a host with its \
                 port, such as `example.com:443`"
            ),
            (CheckTarget::Url(url), _) => bail!(
                "`{url}` has no method before it; write `GET {url}`, or the host with its port, such as \
                 `example.com:443`"
            ),
        });
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_hosts_and_pairs_of_a_method_and_a_url() {
        let arguments = [
            "a.example:443",
            "GET",
            "https://a.example/",
            "M-SEARCH",
            "http://b.example",
        ];
        let targets: Vec<CheckTarget> = arguments.map(|text| parse(text).expect(text)).to_vec();
        let checked = pair(&targets).expect("pairs");
        assert!(matches!(checked[0], CheckedTarget::Host(host) if host.port == 443));
        let request = |method, url| CheckedTarget::Request { method, url };
        assert_eq!(checked[1], request("GET", "https://a.example/"));
        assert_eq!(checked[2], request("M-SEARCH", "http://b.example"));
        assert_eq!(checked.len(), 3);
    }

    #[test]
    fn a_method_or_url_alone_is_an_error_that_says_what_to_write() {
        for (arguments, part) in [
            (&["GET"][..], "`GET` has no URL behind it"),
            (&["GET", "a.example:443"], "`GET` has no URL behind it"),
            (&["https://a.example/"], "write `GET https://a.example/`"),
            (
                &["GET", "https://a.example/", "https://a.example/"],
                "has no method before it",
            ),
        ] {
            let targets: Vec<CheckTarget> = arguments
                .iter()
                .map(|text| parse(text).expect(text))
                .collect();
            let error = pair(&targets).expect_err("a lone argument").to_string();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        assert!(parse("get").is_err_and(|error| error.contains("has no port")));
    }
}
