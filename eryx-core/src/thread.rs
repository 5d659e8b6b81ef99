//! Work that takes too long for a thread that serves other sandboxes, too.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Builder;

use tokio::sync::oneshot;

use crate::host_resource::HostResourceError;

/// Does `work` on a thread of its own, and waits for it. If the caller stops waiting, the work goes on to its end.
///
/// A runtime's own threads for such work would end this one by a panic where the machine has no further thread.
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
            // It matters to no one if the caller stopped waiting.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        })
        .map_err(|error| HostResourceError::of_thread(&error))?;
    match receiver.await.expect("the thread sends what it did") {
        Ok(done) => Ok(done),
        Err(panic) => resume_unwind(panic),
    }
}
