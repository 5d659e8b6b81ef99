//! Escaping of untrusted bytes for messages.

/// The length to which [`quote`] cuts a text, in bytes.
const MAX_QUOTED_BYTES: usize = 64;

/// Returns `bytes` in a form that is safe to print: cut to 64 bytes, and with every byte that is
/// not a visible ASCII character or a space escaped.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let cut = bytes.len().min(MAX_QUOTED_BYTES);
    let mut quoted = String::with_capacity(cut);
    for &byte in &bytes[..cut] {
        match byte {
            b'"' | b'\'' => quoted.push(char::from(byte)),
            _ => quoted.extend(byte.escape_ascii().map(char::from)),
        }
    }
    if cut < bytes.len() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_escapes_and_cuts_untrusted_bytes() {
        assert_eq!(quote(b"a\"b\r\n\x1b\xff\\"), "a\"b\\r\\n\\x1b\\xff\\\\");
        assert_eq!(quote(&[b'x'; 65]), "x".repeat(64) + "…");
    }
}
