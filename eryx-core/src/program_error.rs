//! The error for a program with an invalid input, argument or file.

use thiserror::Error;

use crate::json_value::JsonValueError;

/// An input, argument or file that a [`Program`](crate::Program) cannot have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The name of an input is not an identifier of Python, or one that Python uses itself.
    #[error(
        "inputs: {name:?} cannot be the name of an input: {reason}; use letters, digits and `_`, as \
         in the name of a variable"
    )]
    #[non_exhaustive]
    InputName {
        /// The name, at most 64 characters of it.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// The value of an input cannot be converted to JSON.
    #[error("inputs: {name:?} cannot be passed as JSON: {source}")]
    #[non_exhaustive]
    InputValue {
        /// The name of the input.
        name: String,
        /// The reason why its value cannot be converted to JSON.
        source: JsonValueError,
    },
    /// The inputs or the arguments are too large.
    #[error("{setting}: they have {bytes} bytes; the limit is {max}; {remedy}")]
    #[non_exhaustive]
    TooLarge {
        /// `inputs` or `argv`.
        setting: &'static str,
        /// Their size in bytes.
        bytes: usize,
        /// The largest size.
        max: usize,
        /// The alternative for large data.
        remedy: &'static str,
    },
    /// The program has files, and is executed in a session.
    #[error(
        "files: a session keeps its own files, so a program in it cannot have others; write them \
         with `Session::files` (in Python, `session.files[path] = content`)"
    )]
    FilesInSession,
    /// An argument contains a NUL character, which ends a string in C.
    #[error("argv: argument {position} contains a NUL character; remove it")]
    #[non_exhaustive]
    NulInArgument {
        /// The position of the argument, from 0.
        position: usize,
    },
}
