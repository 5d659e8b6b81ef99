//! Why a module cannot be linked.

use wasmparser::BinaryReaderError;

use crate::limits;

/// A module that cannot be linked, and why.
#[derive(Debug, thiserror::Error)]
#[error("{module} {reason}")]
pub struct LinkError {
    /// The name of the module, or `the image`.
    pub module: String,
    /// Why it cannot be linked.
    pub reason: Rejection,
}

/// Why a module cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is not valid WebAssembly, or uses a proposal that sandboxes do not support.
    #[error("is not valid WebAssembly: {0}")]
    Invalid(String),
    /// It has no section `dylink.0`.
    #[error("is no shared library: it has no section dylink.0; link it with `wasm-ld -shared`")]
    NotALibrary,
    /// It has something that a shared library does not have.
    #[error("{0}, which modules for a sandbox may not")]
    Forbidden(&'static str),
    /// It imports something that no module may import.
    #[error(
        "imports {kind} {name} from {module}, which sandboxes do not have; a module may use \
         functions and data of CPython and of the C library (env, GOT.mem, GOT.func)"
    )]
    Import {
        /// The kind of the import.
        kind: &'static str,
        /// The module that it is imported from.
        module: String,
        /// Its name.
        name: String,
    },
    /// It uses symbols that the image does not have.
    #[error("needs symbols that sandboxes do not have: {}", listed(.0))]
    UnknownSymbols(Vec<String>),
    /// It uses a function with another type than the function has.
    #[error(
        "calls {name} with the type {expected}, but its type is {found}; compile the module for the \
         headers of CPython 3.14"
    )]
    FunctionType {
        /// The name of the function.
        name: String,
        /// The type in the module.
        expected: String,
        /// The type in the image.
        found: String,
    },
    /// A data or element segment, or the address of a symbol, lies outside the space that its
    /// `dylink.0` section asks for.
    #[error("has {0} outside the space that its section dylink.0 asks for")]
    OutOfBounds(&'static str),
    /// It exceeds a limit.
    #[error("exceeds a limit: {what} is at most {limit}")]
    TooLarge {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl Rejection {
    /// Returns the error for the module `module`.
    pub(crate) fn in_module(self, module: &str) -> LinkError {
        LinkError {
            module: module.to_owned(),
            reason: self,
        }
    }

    pub(crate) fn too_large(what: &'static str, limit: impl TryInto<u64>) -> Self {
        Self::TooLarge {
            what,
            limit: limit.try_into().unwrap_or(u64::MAX),
        }
    }
}

impl From<BinaryReaderError> for Rejection {
    fn from(error: BinaryReaderError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Returns the first of `names`, and how many there are besides.
fn listed(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(limits::NAMED_SYMBOLS)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = names.len().checked_sub(limits::NAMED_SYMBOLS)
        && more > 0
    {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
