//! Why an image is rejected.

use wasmparser::BinaryReaderError;

/// How to get an image that is accepted.
const HOW_TO_BUILD: &str = "Images are made by `cargo xtask build-guest`";

/// Why an image is rejected.
#[derive(Debug, thiserror::Error)]
pub(in crate::image) enum VerifyError {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] BinaryReaderError),
    #[error(
        "its code does not yield to the host: function {function} of a module {reason}. {HOW_TO_BUILD}"
    )]
    Function { function: u32, reason: &'static str },
    #[error("its code does not yield to the host: a module {0}. {HOW_TO_BUILD}")]
    Module(&'static str),
}
