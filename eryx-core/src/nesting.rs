//! The nesting of sandboxes in the code of the embedder that other sandboxes call: functions, and
//! those that provide the content of files.

use eryx_files::Loading;

tokio::task_local! {
    /// The nesting of this code.
    static CURRENT: Nesting;
}

/// The most sandboxes inside each other. Each holds a slot of the pool, and often a thread.
pub(crate) const MAX_NESTING: usize = 8;

/// The calls of sandboxes that code runs in.
#[derive(Clone, Debug, Default)]
pub struct Nesting {
    depth: usize,
    /// The content of files that is loaded by some of these calls.
    loading: Loading,
}

/// This code runs in the call of a sandbox in the call of a sandbox, and so on.
#[derive(Debug)]
pub(crate) struct NestedTooDeep;

/// Checks that a program may run here.
pub(crate) fn check() -> Result<(), NestedTooDeep> {
    match CURRENT.try_with(|nesting| nesting.depth).unwrap_or(0) {
        MAX_NESTING.. => Err(NestedTooDeep),
        _ => Ok(()),
    }
}

impl Nesting {
    /// Returns the nesting of this code.
    pub fn current() -> Self {
        let mut nesting = CURRENT.try_with(Self::clone).unwrap_or_default();
        // Of content that the embedder reads, on this thread.
        let loading = Loading::current();
        if !loading.is_empty() {
            nesting.loading = loading;
        }
        nesting
    }

    /// Returns the nesting of code that a sandbox calls at this one.
    pub(crate) fn inner(&self) -> Self {
        Self {
            depth: self.depth + 1,
            loading: self.loading.clone(),
        }
    }

    /// Returns the number of calls.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Runs `work` at this nesting.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        self.loading.run(|| CURRENT.sync_scope(self.clone(), work))
    }

    /// Returns a future that runs `work` at this nesting.
    pub async fn run_future<T>(self, work: impl Future<Output = T>) -> T {
        let loading = self.loading.clone();
        loading.run_future(CURRENT.scope(self, work)).await
    }
}
