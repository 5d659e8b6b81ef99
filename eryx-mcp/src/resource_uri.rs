//! The URIs of the files of sessions: `eryx://files/SESSION/PATH`.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::arguments::{FilePath, SessionName};

/// The start of every URI.
const PREFIX: &str = "eryx://files/";

/// The template of the URIs (RFC 6570).
pub(crate) const TEMPLATE: &str = "eryx://files/{session}/{+path}";

/// The characters that are escaped in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URI of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceUri {
    pub(crate) session: SessionName,
    pub(crate) path: FilePath,
}

impl ResourceUri {
    pub(crate) fn new(session: SessionName, path: FilePath) -> Self {
        Self { session, path }
    }

    /// Parses a URI that a client sent. The error is a message for it.
    pub(crate) fn parse(uri: &str) -> Result<Self, String> {
        let malformed = || format!("the URI of a file has the form {TEMPLATE}");
        let (session, path) = uri
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(malformed)?;
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| malformed())?;
        Ok(Self {
            session: session.to_owned().try_into()?,
            path: format!("/{path}").try_into()?,
        })
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = utf8_percent_encode(self.path.as_str(), ESCAPED);
        write!(f, "{PREFIX}{}{path}", self.session.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_a_session_and_a_path() {
        let path = "/home/user/a b%c/é?#.txt".to_owned();
        let uri = ResourceUri::new(
            SessionName::default(),
            path.try_into().expect("a valid path"),
        );
        let text = uri.to_string();
        assert_eq!(
            text,
            "eryx://files/main/home/user/a%20b%25c/%C3%A9%3F%23.txt"
        );
        assert_eq!(ResourceUri::parse(&text), Ok(uri));
    }

    #[test]
    fn other_uris_are_refused() {
        for uri in [
            "",
            "file:///etc/passwd",
            "eryx://files/",
            "eryx://files/main",
            "eryx://files//a",
            "eryx://files/a b/c",
            "eryx://files/main/%ff",
            "eryx://files/main/a%00",
        ] {
            assert!(ResourceUri::parse(uri).is_err(), "{uri}");
        }
    }
}
