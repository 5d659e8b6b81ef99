//! A lock that a fork does not leave taken for ever.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// How long a thread that waits for a lock sleeps before it tries again.
const WAIT: Duration = Duration::from_micros(100);

/// A lock that belongs to a process. If another thread holds it while the process forks, that thread does not exist in
/// the child, and the child takes the lock as if it were free.
pub(crate) struct ProcessLock {
    /// The process whose thread holds it, or 0.
    owner: AtomicU32,
}

impl ProcessLock {
    pub(crate) const fn new() -> Self {
        Self {
            owner: AtomicU32::new(0),
        }
    }

    /// Waits until the lock is free in this process, and takes it.
    pub(crate) fn take(&self) -> Locked<'_> {
        let process = std::process::id();
        loop {
            let owner = self.owner.load(Ordering::Relaxed);
            if owner != process
                && self
                    .owner
                    .compare_exchange(owner, process, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return Locked(self);
            }
            sleep(WAIT);
        }
    }
}

/// A lock that is taken, until it is dropped.
#[must_use = "it is free again when this is dropped"]
pub(crate) struct Locked<'a>(&'a ProcessLock);

impl Drop for Locked<'_> {
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
    fn one_thread_at_a_time_holds_a_lock() {
        let lock = ProcessLock::new();
        let holders = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let _locked = lock.take();
                        assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0);
                        holders.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
        });
    }

    #[test]
    fn a_lock_that_another_process_held_at_a_fork_can_be_taken() {
        let lock = ProcessLock::new();
        lock.owner.store(std::process::id() + 1, Ordering::Relaxed);
        drop(lock.take());
        assert_eq!(lock.owner.load(Ordering::Relaxed), 0);
    }
}
