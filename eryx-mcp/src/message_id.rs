//! The `id` of a message that is too long to be kept.

use rmcp::model::RequestId;

/// The longest `id` that is found, in bytes of JSON. Clients use numbers and UUIDs.
const MAX_ID: usize = 256;

/// Finds the `id` of a message in its bytes, one after another, and keeps none of the message.
///
/// The members may be in any order. What is not JSON has no `id`, or any.
#[derive(Debug, Default)]
pub(crate) struct MessageIdScanner {
    /// The number of objects and arrays around the next byte.
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    /// The key, or the value of `id`, that ends after the next byte: of the message itself, and at
    /// most [`MAX_ID`] bytes and one.
    text: Vec<u8>,
    /// Whether the value of `id` comes next.
    is_id: bool,
    id: Option<RequestId>,
}

impl MessageIdScanner {
    /// Takes the next byte.
    pub(crate) fn push(&mut self, byte: u8) {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return self.keep(byte);
        }
        match byte {
            b'"' => {
                self.is_in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => {
                // The value of `id` is neither, so the text cannot become one.
                self.keep(byte);
                self.depth += 1;
            }
            b'}' | b']' => {
                self.end_member();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.end_member(),
            b':' if self.depth == 1 => {
                self.is_id = self.text == b"\"id\"";
                self.text.clear();
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    /// Returns the `id` of the message that ended; `None` if it has none.
    pub(crate) fn finish(self) -> Option<RequestId> {
        self.id
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.text.len() <= MAX_ID {
            self.text.push(byte);
        }
    }

    fn end_member(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.is_id {
            // A longer text may lack its end.
            self.id = match self.text.len() <= MAX_ID {
                true => serde_json::from_slice(&self.text).ok(),
                false => None,
            };
            self.is_id = false;
        }
        self.text.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(message: &str) -> Option<RequestId> {
        let mut scanner = MessageIdScanner::default();
        message.bytes().for_each(|byte| scanner.push(byte));
        scanner.finish()
    }

    #[test]
    fn the_id_of_a_message_is_found_wherever_it_is() {
        let number = Some(RequestId::Number(7));
        let text = |text: &str| Some(RequestId::String(text.into()));
        for (message, expected) in [
            (r#"{"id":7,"method":"a"}"#, number.clone()),
            (r#" { "method" : "a" , "id" : 7 } "#, number.clone()),
            (
                r#"{"params":{"id":1,"a":[{"id":2}]},"id":7}"#,
                number.clone(),
            ),
            (r#"{"a":"\",\"id\":1,{[","id":7}"#, number.clone()),
            (r#"{"a":"\\","id":7}"#, number.clone()),
            (r#"{"id":-7}"#, Some(RequestId::Number(-7))),
            (r#"{"id":"a \" ,}"}"#, text("a \" ,}")),
            (r#"{"a":"id","b":7}"#, None),
            (r#"{"a":7}"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":{"id":7}}"#, None),
            (r#"{"id":[7]}"#, None),
            (r#"{"id":7"#, None),
            (r#"[{"id":7}]"#, None),
            (r#"}}{"id":7}"#, number),
            ("", None),
            (r#""id":7"#, None),
        ] {
            assert_eq!(id(message), expected, "{message}");
        }
        let longest = "x".repeat(MAX_ID - 2);
        assert_eq!(id(&format!(r#"{{"id":"{longest}"}}"#)), text(&longest));
        assert_eq!(id(&format!(r#"{{"id":"{longest}x"}}"#)), None);
    }

    #[test]
    fn a_scanner_keeps_little_of_a_long_message() {
        let mut scanner = MessageIdScanner::default();
        let part = "x".repeat(100_000);
        let message = format!(r#"{{"{part}":"{part}","a":[{part}],"id":"{part}"#);
        message.bytes().for_each(|byte| scanner.push(byte));
        assert!(scanner.text.capacity() <= 2 * MAX_ID);
    }
}
