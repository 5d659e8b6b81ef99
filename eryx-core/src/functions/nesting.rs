//! The nesting of sandboxes in the functions of other sandboxes.

use crate::error::Error;

tokio::task_local! {
    /// The number of functions of sandboxes that this code runs in.
    static DEPTH: usize;
}

/// The most sandboxes inside each other. Each holds a slot of the pool, and often a thread.
pub(crate) const MAX_NESTING: usize = 8;

/// Returns how many functions of sandboxes this code runs in.
pub(crate) fn depth() -> usize {
    DEPTH.try_with(|depth| *depth).unwrap_or(0)
}

/// Checks that a program may run here.
///
/// # Errors
///
/// [`Error::NestedTooDeep`] in the function of a sandbox in the function of a sandbox, and so on.
pub(crate) fn check() -> Result<(), Error> {
    match depth() {
        MAX_NESTING.. => Err(Error::NestedTooDeep { max: MAX_NESTING }),
        _ => Ok(()),
    }
}

/// Runs `work` at `depth`.
pub(super) fn run_at<T>(depth: usize, work: impl FnOnce() -> T) -> T {
    DEPTH.sync_scope(depth, work)
}

/// Returns a future that runs `work` at `depth`.
pub(super) async fn at<T>(depth: usize, work: impl Future<Output = T>) -> T {
    DEPTH.scope(depth, work).await
}
