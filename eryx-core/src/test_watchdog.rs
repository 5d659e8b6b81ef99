//! A watchdog for tests: panics when an execution occupies a thread for long.
//!
//! With the feature `watchdog`, which only tests turn on, an execution panics when one poll of it,
//! or one call of a host function, takes more than 50 ms of the thread's processor time. Time
//! during which the thread did not run does not count, so that a busy machine makes no difference.
//! The work of the embedder before and after the execution is not watched: compiling an image,
//! which the embedder can do in advance, and mapping it for an instance, whose cost the image
//! decides.

#[cfg(all(feature = "watchdog", target_os = "linux"))]
pub(crate) use enabled::Watchdog;

#[cfg(not(all(feature = "watchdog", target_os = "linux")))]
pub(crate) use disabled::Watchdog;

#[cfg(all(feature = "watchdog", target_os = "linux"))]
mod enabled {
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use eryx_sync::Mutex;
    use rustix::time::{ClockId, clock_gettime};

    /// Ten time slices: short enough to notice work that a slice does not divide, long enough for
    /// the slower code of a test build.
    const LIMIT: Duration = Duration::from_millis(50);

    /// Seeds the random number generator before the first execution: seeding takes about 50 ms,
    /// once in a process.
    static SEEDED: Once = Once::new();

    /// The watchdog of one execution.
    #[derive(Debug)]
    pub(crate) struct Watchdog {
        /// The thread's processor time at the last check, in nanoseconds.
        checked_at: AtomicU64,
        /// The interface of the host function that was called since.
        called: Mutex<Option<&'static str>>,
    }

    impl Default for Watchdog {
        fn default() -> Self {
            SEEDED.call_once(eryx_net_host::tls::seed_random);
            Self {
                checked_at: AtomicU64::new(0),
                called: Mutex::new(None),
            }
        }
    }

    impl Watchdog {
        /// Records a call of a host function.
        pub(crate) fn on_call(&self, interface: &'static str) {
            *self.called.lock() = Some(interface);
        }

        /// Runs `poll`, and panics if it takes too long.
        pub(crate) fn watch<T>(&self, poll: impl FnOnce() -> T) -> T {
            let began = processor_time();
            self.checked_at.store(nanoseconds(began), Ordering::Relaxed);
            let polled = poll();
            let took = processor_time().saturating_sub(began);
            self.check("one poll of an execution", took);
            polled
        }

        /// Panics if the work since the last check, which has at most one call of a host function,
        /// took too long.
        pub(crate) fn check_call(&self) {
            let now = nanoseconds(processor_time());
            let before = self.checked_at.swap(now, Ordering::Relaxed);
            let took = Duration::from_nanos(now.saturating_sub(before));
            self.check("the work between two yield points", took);
            *self.called.lock() = None;
        }

        fn check(&self, work: &str, took: Duration) {
            if took <= LIMIT || std::thread::panicking() {
                return;
            }
            let called = *self.called.lock();
            panic!(
                "{work} took {took:.1?} of processor time, more than {LIMIT:?}; the host function \
                 called since the last yield point: {}",
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

        /// Computes until the thread has used `time` of processor time.
        fn compute(time: Duration) {
            let began = processor_time();
            while processor_time() < began + time {
                std::hint::spin_loop();
            }
        }

        #[test]
        fn a_poll_that_sleeps_does_not_panic() {
            let began = Instant::now();
            Watchdog::default().watch(|| std::thread::sleep(2 * LIMIT));
            assert!(began.elapsed() >= 2 * LIMIT);
        }

        #[test]
        #[should_panic(expected = "one poll of an execution took")]
        fn a_poll_that_computes_for_long_panics() {
            Watchdog::default().watch(|| compute(LIMIT + Duration::from_millis(5)));
        }

        #[test]
        #[should_panic(expected = "the last yield point: eryx:net/tls")]
        fn a_call_that_computes_for_long_panics_with_the_name_of_its_interface() {
            let watchdog = Watchdog::default();
            watchdog.watch(|| {
                watchdog.on_call("eryx:net/tcp");
                watchdog.check_call();
                watchdog.on_call("eryx:net/tls");
                compute(LIMIT + Duration::from_millis(5));
                watchdog.check_call();
            });
        }
    }
}

#[cfg(not(all(feature = "watchdog", target_os = "linux")))]
mod disabled {
    /// A watchdog that checks nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Watchdog {}

    impl Watchdog {
        pub(crate) fn on_call(&self, _interface: &'static str) {}

        pub(crate) fn watch<T>(&self, poll: impl FnOnce() -> T) -> T {
            poll()
        }

        pub(crate) fn check_call(&self) {}
    }
}
