//! The token that clients have to send over HTTP.

use std::fmt;
use std::hint::black_box;

/// A token that a client sends as `Authorization: Bearer TOKEN` (RFC 6750).
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

/// A text that cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token has {} to {} visible ASCII characters; `openssl rand -hex 32` prints a good one",
    BearerToken::MIN_LENGTH,
    BearerToken::MAX_LENGTH
)]
pub struct BearerTokenError;

impl BearerToken {
    /// The least length of a token, in characters. A shorter one could be guessed.
    pub const MIN_LENGTH: usize = 16;
    /// The largest length of a token, in characters.
    pub const MAX_LENGTH: usize = 1024;

    /// Returns the token with this text. White space around it is left out, so that it can be the
    /// content of a file.
    ///
    /// # Errors
    ///
    /// If it is too short or too long, or has other characters than visible ones of ASCII. The
    /// error does not show the text.
    pub fn new(text: &str) -> Result<Self, BearerTokenError> {
        let text = text.trim();
        let is_long_enough = (Self::MIN_LENGTH..=Self::MAX_LENGTH).contains(&text.len());
        if is_long_enough && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BearerTokenError)
        }
    }

    /// Returns whether an `Authorization` header has the token. The time that takes does not depend
    /// on where they differ.
    pub(crate) fn is_in(&self, authorization: &[u8]) -> bool {
        const SCHEME: &[u8] = b"bearer ";
        let Some((scheme, given)) = authorization.split_at_checked(SCHEME.len()) else {
            return false;
        };
        let token = self.0.as_bytes();
        if !scheme.eq_ignore_ascii_case(SCHEME) || given.len() != token.len() {
            return false;
        }
        let difference = token
            .iter()
            .zip(given)
            .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
        difference == 0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_with_its_scheme_is_accepted() {
        let token = BearerToken::new("  0123456789abcdef\n").expect("valid");
        for (header, expected) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcdeF", false),
            ("Bearer 0123456789abcdef0", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer ", false),
            ("Basic  0123456789abcdef", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            assert_eq!(token.is_in(header.as_bytes()), expected, "{header:?}");
        }
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn a_token_is_long_and_printable() {
        for text in ["", "short", "0123456789abcde f", "0123456789abcdé01"] {
            assert_eq!(BearerToken::new(text), Err(BearerTokenError), "{text:?}");
        }
        assert!(BearerToken::new(&"x".repeat(1025)).is_err());
    }
}
