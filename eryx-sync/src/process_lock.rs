//! Locks that do not wait for ever when the process was forked while another thread held them.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// How long a waiting thread sleeps between its first two attempts, and at most. Each time it
/// sleeps twice as long.
const FIRST_RETRY: Duration = Duration::from_micros(100);
const LONGEST_RETRY: Duration = Duration::from_millis(5);

/// A lock owned by a process. If another thread holds it while the process forks, that thread does
/// not exist in the child, and the child acquires the lock as if it were free. What the lock
/// protects must be usable as that thread left it.
///
/// ```
/// use eryx_sync::ProcessLock;
///
/// static LOADING: ProcessLock = ProcessLock::new();
/// let _guard = LOADING.lock();
/// ```
#[derive(Debug)]
pub struct ProcessLock {
    /// The id of the process whose thread holds the lock, or 0.
    owner: AtomicU32,
}

impl Default for ProcessLock {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessLock {
    /// Returns a lock that is free.
    pub const fn new() -> Self {
        Self {
            owner: AtomicU32::new(0),
        }
    }

    /// Waits until the lock is free in this process, and acquires it.
    pub fn lock(&self) -> ProcessLockGuard<'_> {
        let id = process::id();
        let mut interval = FIRST_RETRY;
        loop {
            let owner = self.owner.load(Ordering::Relaxed);
            if owner != id
                && self
                    .owner
                    .compare_exchange(owner, id, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return ProcessLockGuard(self);
            }
            sleep(interval);
            interval = (interval * 2).min(LONGEST_RETRY);
        }
    }
}

/// Releases the lock when it is dropped.
#[must_use = "the lock is released when this is dropped"]
#[derive(Debug)]
pub struct ProcessLockGuard<'a>(&'a ProcessLock);

impl Drop for ProcessLockGuard<'_> {
    fn drop(&mut self) {
        self.0.owner.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    #[test]
    fn only_one_thread_at_a_time_holds_a_lock() {
        let lock = ProcessLock::new();
        let holders = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _guard = lock.lock();
                        assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0);
                        holders.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
        });
    }

    #[test]
    fn a_lock_that_another_process_held_at_a_fork_can_be_acquired() {
        let lock = ProcessLock::new();
        lock.owner.store(process::id() + 1, Ordering::Relaxed);
        drop(lock.lock());
        assert_eq!(lock.owner.load(Ordering::Relaxed), 0);
    }
}
