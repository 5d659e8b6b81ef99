//! The error of a host function: one for the guest, or a trap.

use wasmtime::component::ResourceTableError;

/// How a host function fails. Two types keep the cases apart, so that `?` always takes the right
/// one.
#[derive(Debug)]
pub(crate) enum TrappableError<E> {
    /// The guest program gets this error and can handle it.
    Guest(E),
    /// The guest ends: it used a handle it does not own, for example.
    Trap(wasmtime::Error),
}

impl<E> TrappableError<E> {
    /// Returns the error for the guest.
    ///
    /// # Errors
    ///
    /// The trap.
    pub(crate) fn into_guest_error(self) -> wasmtime::Result<E> {
        match self {
            Self::Guest(error) => Ok(error),
            Self::Trap(error) => Err(error),
        }
    }
}

impl<E> From<E> for TrappableError<E> {
    fn from(error: E) -> Self {
        Self::Guest(error)
    }
}

impl<E: TableFull> From<ResourceTableError> for TrappableError<E> {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Guest(E::table_full()),
            other => Self::Trap(other.into()),
        }
    }
}

/// An error type with a case for a guest that holds as many handles as it may.
pub(crate) trait TableFull {
    /// Returns that case.
    fn table_full() -> Self;
}
