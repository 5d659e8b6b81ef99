//! The exception that a function of the embedder raises in the program.

use std::fmt;

use crate::json_value::JsonValueError;

/// An exception for the program that called a function.
///
/// A built-in type such as `ValueError` or `KeyError` arrives as itself; any other is
/// `tools.Error`, with the name in its `type`. The program is untrusted: it sees the message, so
/// that has nothing about the machine in it.
///
/// ```
/// use eryx_core::FunctionError;
///
/// let error = FunctionError::new("KeyError", "no such page");
/// assert_eq!(error.to_string(), "KeyError: no such page");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    exception_type: String,
    message: String,
}

impl FunctionError {
    /// The most characters of a type's name.
    const MAX_TYPE: usize = 128;

    /// The most characters of a message.
    const MAX_MESSAGE: usize = 16 * 1024;

    /// The type of the exception for a limit of the host.
    pub(crate) const LIMIT: &'static str = "tools.LimitError";

    /// Returns an exception with this type and message. Of a type 128 characters are kept, and of a
    /// message 16,384.
    pub fn new(exception_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            exception_type: cut(exception_type.into(), Self::MAX_TYPE),
            message: cut(message.into(), Self::MAX_MESSAGE),
        }
    }

    /// Returns the exception for a limit that is reached.
    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(Self::LIMIT, message)
    }

    /// Returns the name of the type.
    pub fn exception_type(&self) -> &str {
        &self.exception_type
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_parts(self) -> (String, String) {
        (self.exception_type, self.message)
    }
}

fn cut(mut text: String, chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars) {
        text.truncate(end);
        text.push('…');
    }
    text
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception_type, self.message)
    }
}

impl std::error::Error for FunctionError {}

impl From<JsonValueError> for FunctionError {
    /// Returns a `TypeError`: the arguments, or the result, are not of the wanted type.
    fn from(error: JsonValueError) -> Self {
        Self::new("TypeError", error.to_string())
    }
}
