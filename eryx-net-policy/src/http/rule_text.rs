//! The text form of an HTTP rule.

use std::fmt;
use std::str::FromStr;

use crate::escape::escape_truncated;
use crate::host::Host;
use crate::http::rule::HttpRule;
use crate::http::rule_error::HttpRuleError;
use crate::pattern::HostPattern;

impl FromStr for HttpRule {
    type Err = HttpRuleError;

    fn from_str(text: &str) -> Result<Self, HttpRuleError> {
        if text.contains("://") {
            return Err(HttpRuleError::Url {
                text: escape_truncated(text),
            });
        }
        let words: Vec<&str> = text.split(' ').collect();
        if words.iter().any(|word| word.is_empty()) {
            return Err(match text.trim().is_empty() {
                true => HttpRuleError::NoHost {
                    text: escape_truncated(text),
                },
                false => HttpRuleError::Words {
                    text: escape_truncated(text),
                },
            });
        }
        let (methods, host, further_paths) = match words.as_slice() {
            [host] => (None, *host, &[][..]),
            [host, path, ..] if path.starts_with('/') => (None, *host, &words[1..]),
            [methods, host, paths @ ..] => (Some(*methods), *host, paths),
            [] => ("".into(), "", &[][..]),
        };
        let (host, path) = split_path(host);
        if host.is_empty() || (methods.is_none() && is_methods(host)) {
            return Err(HttpRuleError::NoHost {
                text: escape_truncated(text),
            });
        }
        // Host and methods are swapped: parsing the host as methods would give an error about the
        // letters of a method.
        let is_reversed =
            is_methods(host) && methods.is_some_and(|methods| methods.contains(['.', ':', '/']));
        if is_reversed || further_paths.iter().any(|path| !path.starts_with('/')) {
            return Err(HttpRuleError::Words {
                text: escape_truncated(text),
            });
        }
        let mut rule = Self::new(host.parse::<HostPattern>()?);
        if let Some(methods) = methods.filter(|methods| *methods != "*") {
            rule = rule.with_methods(methods.split(','))?;
        }
        let paths: Vec<&str> = path
            .into_iter()
            .chain(further_paths.iter().copied())
            .collect();
        if !paths.is_empty() {
            rule = rule.with_paths(paths)?;
        }
        Ok(rule)
    }
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(methods) = self.methods() {
            write!(f, "{} ", methods.join(","))?;
        }
        write!(f, "{}", self.host())?;
        // The slash after an address can also start a prefix length.
        let mut separator = if self.host().network().is_some() {
            " "
        } else {
            ""
        };
        for path in self.paths().into_iter().flatten() {
            write!(f, "{separator}{path}")?;
            separator = " ";
        }
        Ok(())
    }
}

/// Splits a path off a host pattern. The number after the slash of `10.0.0.0/8` is a part of the
/// pattern.
fn split_path(word: &str) -> (&str, Option<&str>) {
    let Some(slash) = word.find('/') else {
        return (word, None);
    };
    let after = &word[slash + 1..];
    let number = after.split('/').next().unwrap_or(after);
    let digits = number.split(':').next().unwrap_or(number);
    let is_prefix_length = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && matches!(Host::parse(&word[..slash]), Ok(Host::Address(_)));
    let end = match is_prefix_length {
        true => slash + 1 + number.len(),
        false => slash,
    };
    let path = &word[end..];
    (&word[..end], (!path.is_empty()).then_some(path))
}

/// Returns whether a word in place of a host is a list of methods.
fn is_methods(word: &str) -> bool {
    const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    word.split(',').any(|word| METHODS.contains(&word))
}
