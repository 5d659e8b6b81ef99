//! The credentials for a proxy.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroize;

/// The text in place of credentials wherever a proxy is shown.
pub(super) const HIDDEN: &str = "***";

/// The characters that are encoded in a user name: all but the unreserved ones (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A user name and a password, which are overwritten on drop and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    user: String,
    password: Option<String>,
}

impl Credentials {
    /// Parses the `user` or `user:password` of a URL, both percent-encoded (RFC 3986, 3.2.1).
    /// Errors do not repeat the text.
    pub(super) fn parse(userinfo: &str) -> Result<Self, &'static str> {
        if userinfo == HIDDEN {
            return Err(
                "its credentials are `***`, which stands for credentials that are not shown",
            );
        }
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (userinfo, None),
        };
        let credentials = Self {
            user: decode(user)?,
            password: password.map(decode).transpose()?,
        };
        if credentials.user.is_empty() {
            return Err("its user name is empty");
        }
        Ok(credentials)
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Returns the password; empty if there is none.
    pub(super) fn password(&self) -> &str {
        self.password.as_deref().unwrap_or_default()
    }

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Returns the user name as a URL has it.
    pub(super) fn encoded_user(&self) -> String {
        utf8_percent_encode(&self.user, ENCODED).to_string()
    }
}

fn decode(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| "its user name and password have to be percent-encoded UTF-8")?;
    if decoded.chars().any(char::is_control) {
        return Err("its user name or password has a control character");
    }
    Ok(decoded.into_owned())
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.user.zeroize();
        self.password.zeroize();
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let table = [
            ("user", "user", None),
            ("user:", "user", Some("")),
            ("user:pass:word", "user", Some("pass:word")),
            ("us%20er:p%40ss%3A%C3%A9", "us er", Some("p@ss:é")),
        ];
        for (text, user, password) in table {
            let credentials = Credentials::parse(text).expect(text);
            assert_eq!(credentials.user, user);
            assert_eq!(credentials.password.as_deref(), password);
            assert_eq!(format!("{credentials:?}"), "***");
        }
        let encoded = Credentials::parse("us%20er:x")
            .expect("valid")
            .encoded_user();
        assert_eq!(encoded, "us%20er");
    }

    #[test]
    fn malformed_credentials_are_errors_without_their_text() {
        for text in [
            "",
            ":secret",
            "***",
            "secret%ff",
            "secret:%00",
            "a%0d%0ab:secret",
        ] {
            let error = Credentials::parse(text).expect_err(text);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
