use tokio_util::sync::CancellationToken;

/// Ends executions from outside. Clones share one state; once cancelled, a handle stays cancelled.
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
    /// A handle that has not been used.
    pub fn new() -> Self {
        Self::default()
    }

    /// End every execution this handle was given to, those still to come included.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Wait until [`cancel`](Self::cancel) is called.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}
