//! The grammar of field lines, and the fields with a special meaning.

use crate::error::{HttpError, HttpErrorKind};

/// Returns whether a byte can be in a token (RFC 9110, 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns whether a byte can be in a field value (RFC 9110, 5.5).
pub(crate) fn is_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Returns the lines of a section up to the empty line, without their line ends.
fn lines(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    section
        .split(|&b| b == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// Returns the rule that a section breaks which httparse refused.
pub(crate) fn find_error(section: &[u8]) -> HttpError {
    for line in lines(section) {
        if matches!(line[0], b' ' | b'\t') {
            return HttpError::new(line, HttpErrorKind::ObsFold);
        }
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            return HttpError::new(line, HttpErrorKind::MissingColon);
        };
        let name = &line[..colon];
        if let [.., b' ' | b'\t'] = name {
            return HttpError::new(name, HttpErrorKind::SpaceBeforeColon);
        }
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return HttpError::new(name, HttpErrorKind::FieldName);
        }
        if !line[colon + 1..].iter().copied().all(is_value) {
            return HttpError::new(name, HttpErrorKind::FieldValue);
        }
    }
    HttpErrorKind::FieldName.into()
}

/// Refuses names that CGI and its successors do not distinguish from a field that frames the
/// message.
pub(crate) fn check_lookalike(name: &str) -> Result<(), HttpError> {
    let is_lookalike = ["content-length", "transfer-encoding"]
        .iter()
        .any(|other| is_like(name.as_bytes(), other))
        && name.contains('_');
    if is_lookalike {
        return Err(HttpError::new(
            name.as_bytes(),
            HttpErrorKind::LookalikeField,
        ));
    }
    Ok(())
}

/// Refuses fields by which some servers and frameworks replace the method or the target of a
/// request: the policy would be applied to other requests than those that are executed.
pub(crate) fn check_override(name: &[u8], value: &[u8], method: &[u8]) -> Result<(), HttpError> {
    // Most fields are none of them.
    if !matches!(name, [b'x' | b'X' | b's' | b'S' | b'p' | b'P', ..]) {
        return Ok(());
    }
    let is_one_of = |names: &[&str]| names.iter().any(|other| is_like(name, other));
    let error = |kind| Err(HttpError::new(name, kind));
    // WSGI servers take the first two for variables of CGI, by which they shorten the path; so does
    // middleware of applications with the third.
    let targets = [
        "script-name",
        "path-info",
        "x-script-name",
        "x-original-url",
        "x-rewrite-url",
    ];
    if is_one_of(&targets) {
        return error(HttpErrorKind::TargetOverride);
    }
    let names = [
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
    ];
    if is_one_of(&names) && value != method {
        return error(HttpErrorKind::MethodOverride);
    }
    Ok(())
}

/// Returns whether CGI and its successors, which replace `-` by `_`, take `name` for `other`, which
/// is in lower case and has hyphens.
pub(crate) fn is_like(name: &[u8], other: &str) -> bool {
    name.len() == other.len()
        && name.iter().zip(other.bytes()).all(|(&byte, other)| {
            byte.to_ascii_lowercase() == other || (byte, other) == (b'_', b'-')
        })
}

/// Checks the name and the value of a new field.
pub(crate) fn check_field(name: &str, value: &[u8]) -> Result<(), HttpError> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(HttpError::new(name.as_bytes(), HttpErrorKind::FieldName));
    }
    check_protected(name)?;
    check_lookalike(name)?;
    if !value.iter().copied().all(is_value) {
        return Err(HttpError::new(name.as_bytes(), HttpErrorKind::FieldValue));
    }
    Ok(())
}

/// Refuses fields that frame or route the message.
pub(crate) fn check_protected(name: &str) -> Result<(), HttpError> {
    const PROTECTED: [&str; 7] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    if PROTECTED.iter().any(|p| p.eq_ignore_ascii_case(name)) {
        return Err(HttpError::new(
            name.as_bytes(),
            HttpErrorKind::ProtectedField,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Fields;

    #[test]
    fn every_byte_of_a_name_is_accepted_exactly_if_it_is_a_token() {
        for byte in (0..=255).filter(|b| !b":\r\n\0".contains(b)) {
            let section = [b"a", &[byte][..], b"b: c\r\n\r\n"].concat();
            assert_eq!(
                Fields::parse(section, 0).is_ok(),
                is_token(byte),
                "{byte:#x}"
            );
        }
    }

    #[test]
    fn every_byte_of_a_value_is_accepted_exactly_if_it_is_no_control_character() {
        for byte in (0..=255).filter(|b| !b"\r\n\0".contains(b)) {
            let section = [b"a: b", &[byte][..], b"c\r\n\r\n"].concat();
            assert_eq!(
                Fields::parse(section, 0).is_ok(),
                is_value(byte),
                "{byte:#x}"
            );
        }
    }
}
