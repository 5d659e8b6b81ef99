//! Showing hostile text to a person.

use std::fmt::Write as _;

/// How much of a text a message repeats, in characters.
const SHOWN_CHARS: usize = 64;

/// Returns `text` made safe to print: cut to 64 characters, with everything invisible written as an escape, so
/// that neither a log line nor a terminal can be forged from it.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == SHOWN_CHARS {
            shown.push('…');
            break;
        }
        push(&mut shown, c);
    }
    shown
}

/// Returns `text` with everything invisible but the plain space written as an escape, as [`quote`] does, and
/// whole.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut shown, c);
    }
    shown
}

/// Returns `text` as one word of a log line: as it is if only letters, digits and the signs of host names, addresses and
/// patterns are in it, and otherwise between double quotes with everything invisible, `"` and `\` escaped. What
/// follows it in the line can then not be part of it.
#[must_use]
pub fn quote_word(text: &str) -> String {
    let plain = |c: char| {
        c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%' | '/' | '*')
    };
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            shown.push('\\');
        }
        push(&mut shown, c);
    }
    shown.push('"');
    shown
}

fn push(shown: &mut String, c: char) {
    match c {
        '\\' | '"' | '\'' => shown.push(c),
        ' '..='~' => shown.push(c),
        // White space other than the plain one looks like it: only an escape tells them apart.
        c if c.is_whitespace() && !c.is_control() => {
            let _ = write!(shown, "{}", c.escape_unicode());
        }
        c => {
            let _ = write!(shown, "{}", c.escape_debug());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_host_is_between_quotes_and_cannot_end_them() {
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
    fn what_is_escaped_is_whole_and_on_one_line() {
        let text = "x\r\n\t\u{7f}".repeat(100);
        assert_eq!(escape(&text), "x\\r\\n\\t\\u{7f}".repeat(100));
    }
}
