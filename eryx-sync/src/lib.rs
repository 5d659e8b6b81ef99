#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_types,
    reason = "this is the wrapper to use instead"
)]

mod process_lock;

use std::hint;
use std::sync::{PoisonError, TryLockError};

pub use std::sync::MutexGuard;

pub use process_lock::{ProcessLock, ProcessLockGuard};

/// A [`std::sync::Mutex`] that ignores poisoning.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Returns an unlocked mutex.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits until the mutex is free, and locks it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the mutex, or returns `None` if it is locked.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Locks a mutex that other threads hold only for a moment, and spins until it is free. Returns
    /// `None` if it stays locked: in a process that was forked while another thread held it, it
    /// stays so for ever.
    ///
    /// ```
    /// let mutex = eryx_sync::Mutex::new(1);
    /// assert!(mutex.try_lock_spinning().is_some());
    /// ```
    pub fn try_lock_spinning(&self) -> Option<MutexGuard<'_, T>> {
        /// A few microseconds.
        const ATTEMPTS: usize = 100;
        (0..ATTEMPTS).find_map(|_| {
            let guard = self.try_lock();
            if guard.is_none() {
                hint::spin_loop();
            }
            guard
        })
    }

    /// Returns the value, without locking.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_mutex_stays_usable_after_a_panic_of_the_thread_that_held_it() {
        let mutex = Mutex::new(1);
        thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let _guard = mutex.lock();
                panic!("expected by this test");
            });
            assert!(holder.join().is_err());
        });
        *mutex.lock() += 1;
        assert_eq!(mutex.try_lock().as_deref(), Some(&2));
        assert_eq!(mutex.into_inner(), 2);
    }

    #[test]
    fn try_lock_returns_none_while_the_mutex_is_locked() {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    }
}
