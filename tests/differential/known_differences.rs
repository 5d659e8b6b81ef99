//! The documented differences, as data: `known.txt`.

use serde_json::Value;

/// A documented difference.
#[derive(Debug)]
pub(crate) struct KnownDifference {
    /// The operation; `*` stands for any characters, here and in the outcomes.
    operation: &'static str,
    native: &'static str,
    sandbox: &'static str,
    /// Why it stays.
    pub(crate) reason: &'static str,
}

/// Returns the documented differences.
pub(crate) fn known_differences() -> Vec<KnownDifference> {
    let lines = include_str!("known.txt").lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split(" | ").map(str::trim).collect();
            let [operation, native, sandbox, reason] = fields[..] else {
                panic!("not four fields separated by ` | `: {line}");
            };
            KnownDifference {
                operation,
                native,
                sandbox,
                reason,
            }
        })
        .collect()
}

impl KnownDifference {
    /// Returns whether it is the difference of an operation.
    pub(crate) fn covers(&self, operation: &Value, native: &Value, sandbox: &Value) -> bool {
        matches(self.operation, &operation.to_string())
            && matches(self.native, &native.to_string())
            && matches(self.sandbox, &sandbox.to_string())
    }
}

/// Returns whether `text` matches a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_pattern_matches_whole_texts() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("a", "ab", false),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("*", "", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn every_documented_difference_is_in_the_table_of_the_networking_page() {
    let page = include_str!("../../docs/networking.md");
    for known in known_differences() {
        let row = format!("\n| {} | ", known.reason);
        assert!(page.contains(&row), "no row for {known:?}");
    }
}
