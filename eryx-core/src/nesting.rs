//! The nesting of sandboxes in the functions of other sandboxes.

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

/// This code runs in the function of a sandbox in the function of a sandbox, and so on.
#[derive(Debug)]
pub(crate) struct NestedTooDeep;

/// Checks that a program may run here.
pub(crate) fn check() -> Result<(), NestedTooDeep> {
    match depth() {
        MAX_NESTING.. => Err(NestedTooDeep),
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
