//! Fails tests in which an execution keeps a thread for long.
//!
//! With the feature `watchdog`, which only tests turn on, an execution panics when one poll of it, or one call of a host
//! function, takes more than [`LIMIT`] of the thread's processor time: time during which the thread did not run does not
//! count, so that a busy machine makes no difference. What is not watched is what an embedder does before and after: to
//! compile an image, which it can do in advance, and to map it for an instance, whose cost the image decides.

#[cfg(all(feature = "watchdog", target_os = "linux"))]
pub(crate) use on::Watchdog;

#[cfg(not(all(feature = "watchdog", target_os = "linux")))]
pub(crate) use off::Watchdog;

#[cfg(all(feature = "watchdog", target_os = "linux"))]
mod on {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, Once, PoisonError};
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    /// Ten times a slice: what may go wrong in one is seen, and what a test build is slower by is not.
    const LIMIT: Duration = Duration::from_millis(50);

    /// Whether random numbers were seeded, which takes as long once in a process, whatever an execution does.
    static SEEDED: Once = Once::new();

    /// What an execution does between two looks.
    #[derive(Debug)]
    pub(crate) struct Watchdog {
        /// The processor time at the last look, in nanoseconds.
        looked: AtomicU64,
        /// The interface whose function was called since.
        called: Mutex<Option<&'static str>>,
    }

    impl Default for Watchdog {
        fn default() -> Self {
            SEEDED.call_once(eryx_net_host::tls::seed_random);
            Self {
                looked: AtomicU64::new(0),
                called: Mutex::new(None),
            }
        }
    }

    impl Watchdog {
        /// Notes a call of a host function.
        pub(crate) fn calls(&self, interface: &'static str) {
            *self.called.lock().unwrap_or_else(PoisonError::into_inner) = Some(interface);
        }

        /// Watches one poll.
        pub(crate) fn watch<T>(&self, poll: impl FnOnce() -> T) -> T {
            let begun = processor_time();
            self.looked.store(nanoseconds(begun), Ordering::Relaxed);
            let polled = poll();
            let took = processor_time().saturating_sub(begun);
            self.check("one poll of an execution", took);
            polled
        }

        /// Watches what was done since the last look: at most one call of a host function.
        pub(crate) fn look(&self) {
            let now = nanoseconds(processor_time());
            let before = self.looked.swap(now, Ordering::Relaxed);
            let took = Duration::from_nanos(now.saturating_sub(before));
            self.check("what was done between two looks at the clock", took);
            *self.called.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }

        fn check(&self, what: &str, took: Duration) {
            if took <= LIMIT || std::thread::panicking() {
                return;
            }
            let called = *self.called.lock().unwrap_or_else(PoisonError::into_inner);
            panic!(
                "{what} took {took:.1?} of processor time, more than {LIMIT:?}; the host function called since the last \
                 look: {}",
                called.unwrap_or("none")
            );
        }
    }

    fn processor_time() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
    }

    fn nanoseconds(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    }

    #[cfg(test)]
    mod tests {
        use std::time::Instant;

        use super::*;

        /// Keeps the processor busy until the thread has had `time` of it.
        fn work(time: Duration) {
            let begun = processor_time();
            while processor_time() < begun + time {
                std::hint::spin_loop();
            }
        }

        #[test]
        fn a_poll_that_waits_without_working_is_let_through() {
            let begun = Instant::now();
            Watchdog::default().watch(|| std::thread::sleep(2 * LIMIT));
            assert!(begun.elapsed() >= 2 * LIMIT);
        }

        #[test]
        #[should_panic(expected = "one poll of an execution took")]
        fn a_poll_that_works_for_long_panics() {
            Watchdog::default().watch(|| work(LIMIT + Duration::from_millis(5)));
        }

        #[test]
        #[should_panic(expected = "the last look: eryx:net/tls")]
        fn a_call_that_works_for_long_panics_with_the_name_of_its_interface() {
            let watchdog = Watchdog::default();
            watchdog.watch(|| {
                watchdog.calls("eryx:net/tcp");
                watchdog.look();
                watchdog.calls("eryx:net/tls");
                work(LIMIT + Duration::from_millis(5));
                watchdog.look();
            });
        }
    }
}

#[cfg(not(all(feature = "watchdog", target_os = "linux")))]
mod off {
    /// Watches nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Watchdog;

    impl Watchdog {
        pub(crate) fn calls(&self, _interface: &'static str) {}

        pub(crate) fn watch<T>(&self, poll: impl FnOnce() -> T) -> T {
            poll()
        }

        pub(crate) fn look(&self) {}
    }
}
