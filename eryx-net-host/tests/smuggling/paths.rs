//! Paths that servers map to others, and the rules that they could get around.

use std::collections::BTreeSet;

/// The patterns of the rules, of which each is the only one of its host.
pub(crate) const PATTERNS: [&str; 5] = [
    "/allowed/*",
    "/allowed/**",
    "/allowed/x",
    "/*/b",
    "/allowed/*/b",
];

/// Returns whether `path`, as a server has mapped it, is one that `pattern` is for. Written without
/// the parser of patterns, whose results it checks.
pub(crate) fn is_within(pattern: &str, path: &str) -> bool {
    let mut rest = path;
    for part in pattern.split('/').skip(1) {
        let Some(after) = rest.strip_prefix('/') else {
            return false;
        };
        if part == "**" {
            return true;
        }
        let end = after.find('/').unwrap_or(after.len());
        let segment = &after[..end];
        let is_same = match part {
            "*" => !segment.is_empty(),
            _ => segment == part,
        };
        if !is_same {
            return false;
        }
        rest = &after[end..];
    }
    rest.is_empty()
}

/// Returns targets: of the vectors, and of spellings of dots and slashes in all places.
pub(crate) fn targets() -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    let paths = include_str!("../../../eryx-http/tests/vectors/paths.tsv");
    for row in paths.lines().skip(1) {
        let path = row.split('\t').next().unwrap_or_default();
        targets.insert(path.to_owned());
        targets.insert(format!("/allowed{path}"));
    }
    let rules = include_str!("../../../eryx-net-policy/tests/vectors/http-rules.tsv");
    for row in rules.lines().skip(1) {
        let url = row.split('\t').nth(1).unwrap_or_default();
        if let Some((_, path)) = url.split_once("://a.example/") {
            targets.insert(format!("/{path}"));
            targets.insert(format!("/allowed/{path}"));
        }
    }
    for prefix in PREFIXES {
        for first in SLASHES {
            for dots in DOTS {
                for second in ["/", first] {
                    targets.insert(format!("{prefix}{first}{dots}{second}b"));
                    targets.insert(format!("{prefix}{first}{dots}"));
                }
            }
        }
    }
    targets
}

const PREFIXES: [&str; 9] = [
    "",
    "/",
    "/allowed",
    "/allowed/x",
    "/%61llowed",
    "/Allowed",
    "/allowed;y",
    "/allowed.",
    "/x",
];

const SLASHES: [&str; 18] = [
    "/",
    "//",
    "%2f",
    "%2F",
    "%252f",
    "\\",
    "%5c",
    "/./",
    "/;/",
    ";/",
    "/%20/",
    "%c0%af",
    "?/",
    "%3f/",
    "%23/",
    "%ef%bc%8f",
    ":/",
    "/*/",
];

const DOTS: [&str; 40] = [
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%25%32%65%25%32%65",
    "%2525252e.",
    "%u002e%u002e",
    "%c0%ae%c0%ae",
    "%e0%80%ae.",
    "%f8%80%80%80%ae%f8%80%80%80%ae",
    "%fc%80%80%80%80%ae.",
    "%ef%bc%8e%ef%bc%8e",
    "..;",
    "..;x=y",
    ";..",
    "..%3b",
    "..%00",
    "%00..",
    "..%20",
    "%20..",
    "..%09",
    "..%0a",
    "..%0d%0aX:y",
    "..\\",
    "..%5c",
    "..%ff",
    "..%c2%85",
    "..%23",
    "..%3f",
    "..%2a",
    "x/..",
    "*",
    "%2a",
    "",
    ";",
    "%20",
    "x",
];
