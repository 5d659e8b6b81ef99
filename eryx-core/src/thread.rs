//! Long computations on a thread of their own, away from the threads that serve other sandboxes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Builder;

use tokio::sync::oneshot;

use crate::host_resource::HostResourceError;

/// Runs `work` on a thread of its own, and waits for its result. If the caller stops waiting, the
/// work goes on to its end.
///
/// `tokio::task::spawn_blocking` would panic where the machine has no further thread.
///
/// # Errors
///
/// When no thread can be started.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostResourceError> {
    let (sender, receiver) = oneshot::channel();
    Builder::new()
        .name("eryx-work".to_owned())
        .spawn(move || {
            // Sending fails when the caller stopped waiting, which makes no difference here.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        })
        .map_err(|error| HostResourceError::from_spawn_error(&error))?;
    match receiver.await.expect("the thread sends its result") {
        Ok(result) => Ok(result),
        Err(panic) => resume_unwind(panic),
    }
}
