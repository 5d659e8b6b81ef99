//! The threads that compile machine code.

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Where functions are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On the threads of the rayon pool that calls the compiler.
    Pool,
    /// On the one thread that calls the compiler.
    One,
}

/// Calls `compile`, which may use as many threads as there are processors, or only its own where no
/// more can be started.
///
/// The threads last as long as the call. Those of rayon's global pool would last for ever, but not
/// in the child of a fork, which would wait for them without end.
pub(crate) fn with_threads<T: Send>(compile: impl FnOnce(Threads) -> T + Send) -> T {
    match pool() {
        Some(pool) => pool.install(|| compile(Threads::Pool)),
        None => compile(Threads::One),
    }
}

fn pool() -> Option<ThreadPool> {
    ThreadPoolBuilder::new()
        .thread_name(|_| "eryx-compile".to_owned())
        .build()
        .inspect_err(|reason| {
            tracing::debug!(target: "eryx::image", %reason, "compiling on one thread");
        })
        .ok()
}
