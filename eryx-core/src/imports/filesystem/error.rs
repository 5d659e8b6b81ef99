//! The error codes of `wasi:filesystem` that a guest gets.

use eryx_files::Error;

use crate::imports::filesystem::bindings::wasi::filesystem::types::ErrorCode;
use crate::trappable_error::TableFull;

impl TableFull for Error {
    fn table_full() -> Self {
        Self::TooManyOpen
    }
}

impl From<Error> for ErrorCode {
    fn from(error: Error) -> Self {
        match error {
            Error::Access => Self::Access,
            Error::BadDescriptor => Self::BadDescriptor,
            Error::Busy => Self::Busy,
            Error::Deadlock => Self::Deadlock,
            Error::Exists => Self::Exist,
            Error::FileTooLarge => Self::FileTooLarge,
            Error::Invalid => Self::Invalid,
            Error::IsADirectory => Self::IsDirectory,
            Error::Loop => Self::Loop,
            Error::NameTooLong => Self::NameTooLong,
            Error::NoEntry => Self::NoEntry,
            Error::NoSpace => Self::InsufficientSpace,
            Error::NoSuchDevice => Self::NoSuchDevice,
            Error::NotADirectory => Self::NotDirectory,
            Error::NotEmpty => Self::NotEmpty,
            Error::NotPermitted => Self::NotPermitted,
            Error::ReadOnly => Self::ReadOnly,
            // WASI 0.2 has no code for it. The guest's libc makes it EMFILE: no other error may be
            // `Quota`.
            Error::TooManyOpen => Self::Quota,
            Error::Unsupported => Self::Unsupported,
            Error::CrossDevice => Self::CrossDevice,
            // The list of errors can grow.
            _ => Self::Io,
        }
    }
}
