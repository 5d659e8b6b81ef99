//! The content that is being loaded where code runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::iter;
use std::mem;
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eryx_sync::{Mutex, MutexGuard, ProcessLock, ProcessLockGuard};

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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Returns a future that runs `work` where this is being loaded.
    pub async fn run_future<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| self.run(|| work.as_mut().poll(cx))).await
    }

    /// Records that what is being loaded here needs `content`, until the result is dropped. Returns
    /// `None` if that needs what is being loaded here, and would wait for ever: it is loaded here,
    /// or elsewhere and waits for content that is loaded here.
    pub(crate) fn begin_need(&self, content: LoadId) -> Option<Need> {
        let Some(needing) = self.0.as_ref().map(|link| link.content) else {
            return Some(Need(None));
        };
        if self.contains(content) {
            return None;
        }
        let Some((_guard, mut needs)) = lock_needs() else {
            return Some(Need(None));
        };
        let mut reached = vec![content];
        let mut next = 0;
        while let Some(needed) = reached.get(next).copied() {
            if self.contains(needed) {
                return None;
            }
            let further = needs.by_content.get(&needed).into_iter().flatten();
            let further: Vec<_> = further
                .filter(|id| !reached.contains(id))
                .copied()
                .collect();
            reached.extend(further);
            next += 1;
        }
        needs.by_content.entry(needing).or_default().push(content);
        Some(Need(Some((needing, content))))
    }

    /// Returns this and `content`.
    pub(crate) fn and(&self, content: LoadId) -> Self {
        let outer = self.clone();
        Self(Some(Arc::new(Link { content, outer })))
    }

    fn contains(&self, content: LoadId) -> bool {
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

/// What the content that is being loaded in a process needs.
struct Needs {
    process: u32,
    by_content: BTreeMap<LoadId, Vec<LoadId>>,
}

/// Locks what the content that is being loaded in this process needs. Returns `None` if the process
/// was forked while another thread had it locked: only content that needs itself directly is then
/// found.
fn lock_needs() -> Option<(ProcessLockGuard<'static>, MutexGuard<'static, Needs>)> {
    static LOCK: ProcessLock = ProcessLock::new();
    static NEEDS: Mutex<Needs> = Mutex::new(Needs {
        process: 0,
        by_content: BTreeMap::new(),
    });
    let guard = LOCK.lock();
    // Only a thread that this process does not have can hold it: the guard is dropped last.
    let mut needs = NEEDS.try_lock()?;
    let process = process::id();
    if needs.process != process {
        // A fork has none of the threads that load content.
        needs.by_content.clear();
        needs.process = process;
    }
    Some((guard, needs))
}

/// The first content needs the second one while this exists. `None`: nothing waits for the code
/// that needs it.
pub(crate) struct Need(Option<(LoadId, LoadId)>);

impl Drop for Need {
    fn drop(&mut self) {
        let Some((needing, content)) = self.0 else {
            return;
        };
        let Some((_guard, mut needs)) = lock_needs() else {
            return;
        };
        if let Some(needed) = needs.by_content.get_mut(&needing) {
            if let Some(index) = needed.iter().position(|id| *id == content) {
                needed.swap_remove(index);
            }
            if needed.is_empty() {
                needs.by_content.remove(&needing);
            }
        }
    }
}

/// Sets what a thread loads to an earlier value.
struct Restore(Loading);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(mem::take(&mut self.0));
    }
}
