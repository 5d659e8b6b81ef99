//! Cancellation of executions by the embedder.

use tokio_util::sync::CancellationToken;

/// Cancels executions. Clones share one state; once cancelled, a handle stays cancelled.
///
/// ```no_run
/// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), eryx_core::Error> {
/// let cancel = eryx_core::CancelHandle::new();
/// let later = cancel.clone();
/// tokio::spawn(async move {
///     tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///     later.cancel();
/// });
/// let result = sandbox.execute_cancellable("while True: pass", &cancel).await;
/// assert!(matches!(result, Err(eryx_core::Error::Cancelled { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct CancelHandle {
    token: CancellationToken,
}

impl CancelHandle {
    /// Returns a handle that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every execution that has this handle, and every later one at its start.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Returns whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until [`cancel`](Self::cancel) is called.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}
