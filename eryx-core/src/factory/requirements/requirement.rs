//! The check of a requirement: a name and the versions of it, and nothing that pip would build.

/// The longest requirement, in bytes.
const MAX_LENGTH: usize = 2000;

/// Checks a requirement ("Dependency specifiers"). Returns the rest of an error message that begins
/// with the requirement.
pub(super) fn check(requirement: &str) -> Result<(), String> {
    let text = requirement.trim();
    if text.len() > MAX_LENGTH {
        return Err(format!("has more than {MAX_LENGTH} bytes"));
    }
    if text.contains(|c: char| c.is_control() && c != '\t') {
        return Err("has a line break or another control character".to_owned());
    }
    if text.starts_with('-') || text.contains(" -") || text.contains("\t-") {
        return Err(
            "has an option of pip; give a name and its versions, as in \"requests>=2.31\""
                .to_owned(),
        );
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    if text.contains('@') || text.contains('/') || text.contains('\\') || name.ends_with(".whl") {
        return Err(
            "is a path or an address, which pip may have to build on this machine; give a name and \
             its versions, as in \"requests>=2.31\", and wheels as packages"
                .to_owned(),
        );
    }
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    let is_rest = rest.is_empty() || rest.starts_with(|c| "[<>=!~(;".contains(c));
    if is_name && is_rest {
        return Ok(());
    }
    Err("is not a requirement; give a name and its versions, as in \"requests>=2.31\"".to_owned())
}

/// Returns the name of the project that a requirement, which is valid, is of.
pub(super) fn name(requirement: &str) -> &str {
    let text = requirement.trim();
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_versions_extras_and_markers_are_accepted() {
        for requirement in [
            "requests",
            " requests >=2.31 , <3",
            "requests[socks]>=2.31",
            "zope.interface~=5.0",
            "a_b-c (>=1)",
            "tomli; python_version < '3.11'",
            "x===1.0+local",
        ] {
            assert_eq!(check(requirement), Ok(()), "{requirement}");
        }
        assert_eq!(name(" requests[socks]>=2"), "requests");
    }

    #[test]
    fn options_paths_addresses_and_line_breaks_are_rejected() {
        for (requirement, reason) in [
            ("--index-url=https://example.com", "option"),
            ("-e .", "option"),
            ("requests --global-option=x", "option"),
            ("requests\t--hash=x", "option"),
            (
                "requests @ https://example.com/x.tar.gz",
                "path or an address",
            ),
            ("git+https://example.com/x", "path or an address"),
            ("./requests", "path or an address"),
            ("wheels/x-1-py3-none-any.whl", "path or an address"),
            ("x-1-py3-none-any.whl", "path or an address"),
            ("requests; x\\y", "path or an address"),
            ("requests\n-e .", "line break"),
            ("requests six", "not a requirement"),
            ("", "not a requirement"),
            (".", "not a requirement"),
            ("requests$", "not a requirement"),
        ] {
            let rejected = check(requirement).expect_err(requirement);
            assert!(rejected.contains(reason), "{requirement}: {rejected}");
        }
        check(&"x".repeat(2001)).expect_err("too long");
    }
}
