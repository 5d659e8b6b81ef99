//! Escaping of untrusted text for messages and logs.

use std::fmt::Write as _;

/// The length to which [`escape_truncated`] cuts a text, in characters.
const MAX_CHARS: usize = 64;

/// Returns `text` in a form that is safe to print: cut to 64 characters, and with every invisible
/// character escaped, so that it can forge no log line and send no terminal sequence.
#[must_use]
pub fn escape_truncated(text: &str) -> String {
    if text.len() <= MAX_CHARS && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut escaped = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == MAX_CHARS {
            escaped.push('…');
            break;
        }
        push(&mut escaped, c);
    }
    escaped
}

/// Returns the whole `text`, with every invisible character except the plain space escaped as by
/// [`escape_truncated`].
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut escaped, c);
    }
    escaped
}

/// Returns `text` as one word of a log line.
///
/// A text of letters, digits and the punctuation of host names, addresses and patterns is returned
/// unchanged. Any other text is put between double quotes, with every invisible character, `"` and
/// `\` escaped, so that it cannot be confused with the rest of the line.
#[must_use]
pub fn quote_word(text: &str) -> String {
    let is_word = |c: char| {
        c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%' | '/' | '*')
    };
    if !text.is_empty() && text.chars().all(is_word) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            escaped.push('\\');
        }
        push(&mut escaped, c);
    }
    escaped.push('"');
    escaped
}

fn push(escaped: &mut String, c: char) {
    match c {
        '\\' | '"' | '\'' => escaped.push(c),
        ' '..='~' => escaped.push(c),
        // Other white space looks like the plain space; only an escape shows the difference.
        c if c.is_whitespace() && !c.is_control() => {
            let _ = write!(escaped, "{}", c.escape_unicode());
        }
        c => {
            let _ = write!(escaped, "{}", c.escape_debug());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quote_word_quotes_and_escapes_a_text_that_is_not_a_host() {
        for (text, word) in [
            ("api.example.com", "api.example.com"),
            ("[2001:db8::1%eth0]", "[2001:db8::1%eth0]"),
            ("münchen.example", "münchen.example"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a\" b\\", "\"a\\\" b\\\\\""),
            ("a\nb\u{1b}[31m", "\"a\\nb\\u{1b}[31m\""),
            (
                "a\u{202e}\u{9b}\u{2028}b",
                "\"a\\u{202e}\\u{9b}\\u{2028}b\"",
            ),
        ] {
            assert_eq!(quote_word(text), word);
        }
    }

    #[test]
    fn escape_keeps_the_whole_text_on_one_line() {
        let text = "x\r\n\t\u{7f}".repeat(100);
        assert_eq!(escape(&text), "x\\r\\n\\t\\u{7f}".repeat(100));
    }
}
