//! Escaping of untrusted bytes for messages.

/// The length to which [`escape_truncated`] cuts a text, in bytes.
const MAX_BYTES: usize = 64;

/// Returns `bytes` in a form that is safe to print: cut to 64 bytes, and with every byte that is
/// not a visible ASCII character or a space escaped.
pub(crate) fn escape_truncated(bytes: &[u8]) -> String {
    let cut = bytes.len().min(MAX_BYTES);
    let mut escaped = String::with_capacity(cut);
    for &byte in &bytes[..cut] {
        match byte {
            b'"' | b'\'' => escaped.push(char::from(byte)),
            _ => escaped.extend(byte.escape_ascii().map(char::from)),
        }
    }
    if cut < bytes.len() {
        escaped.push('…');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_truncated_escapes_and_cuts_untrusted_bytes() {
        assert_eq!(
            escape_truncated(b"a\"b\r\n\x1b\xff\\"),
            "a\"b\\r\\n\\x1b\\xff\\\\"
        );
        assert_eq!(escape_truncated(&[b'x'; 65]), "x".repeat(64) + "…");
    }
}
