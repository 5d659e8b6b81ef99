//! Systems other than Linux: the handlers of wasmtime are not repaired.

use std::future::Future;

use crate::host_resource::HostResourceError;

/// Does nothing.
pub(crate) fn set_up() -> Result<(), HostResourceError> {
    Ok(())
}

/// Does nothing.
pub(crate) fn check() -> Result<(), HostResourceError> {
    Ok(())
}

/// Runs `call`.
pub(crate) async fn watch<T>(
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    call.await
}
