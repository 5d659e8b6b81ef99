//! Showing hostile text to a person.

use std::fmt::Write as _;

/// How much of a text a message repeats.
const SHOWN_CHARS: usize = 64;

/// `text` made safe to print: cut to a bounded length, with everything invisible written as an escape, so
/// that neither a log line nor a terminal can be forged from it.
pub(crate) fn quote(text: &str) -> String {
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == SHOWN_CHARS {
            shown.push('…');
            break;
        }
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
    shown
}
