//! The grammar that rules share with the parser: tokens, methods and field names.

use crate::error::HttpErrorKind;
use crate::field_line::{self, check_lookalike, check_protected};
use crate::path::is_overlong;
use crate::request_head::check_method;

/// Returns whether `text` is a token, as methods and field names are (RFC 9110, 5.6.2).
///
/// ```
/// assert!(eryx_http::is_token("X-Api-Key"));
/// assert!(!eryx_http::is_token("X Api Key"));
/// assert!(!eryx_http::is_token(""));
/// ```
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(field_line::is_token)
}

/// Returns whether [`RequestParser`](crate::RequestParser) refuses every request with this method:
/// CONNECT, TRACE and TRACK, in any case, because some servers convert methods to upper case, and
/// for the same reason HEAD in another case.
///
/// ```
/// assert!(eryx_http::is_refused_method("trace"));
/// assert!(eryx_http::is_refused_method("Head"));
/// assert!(!eryx_http::is_refused_method("HEAD"));
/// assert!(!eryx_http::is_refused_method("GET"));
/// ```
pub fn is_refused_method(method: &str) -> bool {
    let result = check_method(method.as_bytes());
    result.is_err_and(|error| {
        matches!(
            error.kind(),
            HttpErrorKind::Connect | HttpErrorKind::Trace | HttpErrorKind::HeadCase
        )
    })
}

/// Returns whether decoded bytes have an overlong UTF-8 sequence (RFC 3629, 3), which old decoders
/// take for ASCII. [`CanonicalPath`](crate::CanonicalPath) refuses them in paths.
///
/// ```
/// // `t` in two bytes.
/// assert!(eryx_http::has_overlong_utf8(b"\xc1\xb4oken"));
/// assert!(!eryx_http::has_overlong_utf8("é".as_bytes()));
/// assert!(!eryx_http::has_overlong_utf8(b"\xff"));
/// ```
pub fn has_overlong_utf8(bytes: &[u8]) -> bool {
    let mut before = None;
    bytes
        .iter()
        .any(|&byte| is_overlong(before.replace(byte), byte))
}

/// Returns whether a field frames or routes the message, so that [`Fields::set`] refuses it:
/// `Host`, `Content-Length` and others, in any case, and names that servers take for one of them.
///
/// ```
/// assert!(eryx_http::is_protected_field("host"));
/// assert!(eryx_http::is_protected_field("Content_Length"));
/// assert!(!eryx_http::is_protected_field("Authorization"));
/// ```
///
/// [`Fields::set`]: crate::Fields::set
pub fn is_protected_field(name: &str) -> bool {
    check_protected(name).is_err() || check_lookalike(name).is_err()
}
