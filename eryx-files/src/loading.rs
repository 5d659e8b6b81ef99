//! The content that is being loaded where code runs.

use std::cell::RefCell;
use std::fmt;
use std::iter;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The content that this thread loads.
    static CURRENT: RefCell<Loading> = const { RefCell::new(Loading(None)) };
}

/// The content that is being loaded where code runs: functions for [`Deferred`](crate::Deferred)
/// content can read other content, and so on. Content that needs itself would wait for ever.
///
/// A function runs with this on the thread that calls it. What it runs on other threads can be run
/// with it by [`run`](Self::run).
#[derive(Clone, Default)]
pub struct Loading(Option<Arc<Link>>);

struct Link {
    content: LoadId,
    /// What this content is loaded for.
    outer: Loading,
}

/// Identifies content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadId(u64);

impl LoadId {
    /// Returns an identifier that no other content of this process has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Loading {
    /// Returns what is being loaded where this is called.
    pub fn current() -> Self {
        CURRENT.with_borrow(Self::clone)
    }

    /// Returns whether nothing is being loaded.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Runs `work` where this is being loaded.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restored = Restore(CURRENT.replace(self.clone()));
        work()
    }

    /// Returns this and `content`.
    pub(crate) fn and(&self, content: LoadId) -> Self {
        let outer = self.clone();
        Self(Some(Arc::new(Link { content, outer })))
    }

    pub(crate) fn contains(&self, content: LoadId) -> bool {
        self.links().any(|link| link.content == content)
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        iter::successors(self.0.as_deref(), |link| link.outer.0.as_deref())
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contents = self.links().map(|link| link.content.0);
        f.debug_list().entries(contents).finish()
    }
}

/// Sets what a thread loads to an earlier value.
struct Restore(Loading);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(mem::take(&mut self.0));
    }
}
