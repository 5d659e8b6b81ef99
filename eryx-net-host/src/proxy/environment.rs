//! The environment variables that name a proxy, as curl documents them.

use std::ffi::OsString;

use eryx_net_policy::HostPattern;

use crate::config_error::ConfigError;
use crate::proxy::server::{CURL_HTTP_PORT, ProxyServer, url_error};

/// The variables that name the proxy. The first that is set decides. Not `HTTP_PROXY`, which a web
/// server sets from the header `Proxy` of a request (CVE-2016-5385).
const SERVER: [&str; 5] = [
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "http_proxy",
];

/// The variables that list the hosts to connect to directly.
const BYPASS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Returns the proxy server; `None` if no variable is set, or the first one is empty.
pub(super) fn server(
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<ProxyServer>, ConfigError> {
    let Some((name, url)) = first(&SERVER, variable)? else {
        return Ok(None);
    };
    let url = url.trim();
    if url.is_empty() {
        return Ok(None);
    }
    let parsed = if url.contains("://") {
        ProxyServer::parse(url, Some(CURL_HTTP_PORT))
    } else {
        ProxyServer::parse(&format!("http://{url}"), Some(CURL_HTTP_PORT))
    };
    parsed
        .map(Some)
        .map_err(|rule| url_error(&format!("the proxy in the variable {name}"), rule))
}

/// Returns the hosts to connect to directly. A name also stands for all names below it.
pub(super) fn bypass(
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<HostPattern>, ConfigError> {
    let Some((_, list)) = first(&BYPASS, variable)? else {
        return Ok(Vec::new());
    };
    let mut patterns = Vec::new();
    for entry in list.split([',', ' ', '\t']) {
        let entry = entry.trim_start_matches('.');
        if entry.is_empty() {
            continue;
        }
        let pattern: HostPattern = entry.parse()?;
        let is_name = pattern.network().is_none() && !entry.starts_with('*');
        patterns.push(pattern);
        if is_name {
            patterns.push(format!("*.{entry}").parse()?);
        }
    }
    Ok(patterns)
}

/// Returns the name and the value of the first variable that is set.
fn first<'a>(
    names: &[&'a str],
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<(&'a str, String)>, ConfigError> {
    let set = names
        .iter()
        .find_map(|name| variable(name).map(|value| (*name, value)));
    match set {
        None => Ok(None),
        Some((name, value)) => match value.into_string() {
            Ok(value) => Ok(Some((name, value))),
            Err(_) => Err(ConfigError::Proxy(format!(
                "the variable {name} is not text in UTF-8: correct or unset it"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::setting::Proxy;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn read(variables: Variables<'_>) -> Result<Proxy, ConfigError> {
        Proxy::from_variables(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_proxy() {
        let table: [(Variables<'_>, Option<&str>); 11] = [
            (&[], None),
            (&[("HTTP_PROXY", "http://a:1")], None),
            (&[("http_proxy", "http://a:1")], Some("http://a:1")),
            (&[("HTTPS_PROXY", "http://a:1")], Some("http://a:1")),
            (&[("ALL_PROXY", "socks5://a")], Some("socks5://a:1080")),
            (
                &[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:2")],
                Some("http://b:2"),
            ),
            (
                &[("http_proxy", "http://a:1"), ("ALL_PROXY", "http://b:2")],
                Some("http://b:2"),
            ),
            (&[("https_proxy", ""), ("ALL_PROXY", "http://b:2")], None),
            (&[("https_proxy", "a")], Some("http://a:1080")),
            (&[("https_proxy", "u:p@a:8")], Some("http://a:8")),
            (&[("https_proxy", " https://a ")], Some("https://a:443")),
        ];
        for (variables, expected) in table {
            let proxy = read(variables).expect("valid");
            let name = proxy.server().map(|server| server.name().to_string());
            assert_eq!(name.as_deref(), expected, "{variables:?}");
            assert!(proxy.is_from_env());
            assert_eq!(proxy.to_string(), "env");
        }
        for url in ["socks5h://a", "ftp://user:secret@a", "http://a:port"] {
            let error = read(&[("ALL_PROXY", url)]).expect_err(url).to_string();
            assert!(
                error.contains("ALL_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn no_proxy_lists_names_with_all_below_them_addresses_and_networks() {
        let bypass = |list| {
            let proxy = read(&[("NO_PROXY", list)])?;
            let patterns = proxy.bypass().iter().map(ToString::to_string);
            Ok::<_, ConfigError>(patterns.collect::<Vec<_>>())
        };
        let table: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("corp", &["corp", "*.corp"]),
            (".corp.example", &["corp.example", "*.corp.example"]),
            ("a, b", &["a", "*.a", "b", "*.b"]),
            ("*.corp", &["*.corp"]),
            ("*", &["*"]),
            (
                "10.0.0.0/8,192.0.2.7,::1",
                &["10.0.0.0/8", "192.0.2.7", "::1"],
            ),
            ("db.corp:5432", &["db.corp:5432", "*.db.corp:5432"]),
        ];
        for (list, expected) in table {
            assert_eq!(bypass(list).expect("valid"), expected, "{list}");
        }
        assert!(bypass("a.*.b").is_err());
        let lower = read(&[("NO_PROXY", "a"), ("no_proxy", "192.0.2.7")]).expect("valid");
        assert_eq!(lower.bypass().len(), 1);
    }
}
