//! A watchdog for tests: panics when an execution occupies a thread for long.
//!
//! With the feature `watchdog`, which only tests turn on, an execution panics when one poll of it,
//! or one call of a host function, takes more than 50 ms of the thread's processor time. Time
//! during which the thread did not run does not count, so that a busy machine makes no difference.
//! A page fault counts for its usual time at most: a hypervisor that provides memory on first use
//! takes up to a millisecond for a page.
//!
//! The work of the embedder before and after the execution is not watched: compiling an image,
//! which the embedder can do in advance, and mapping it for an instance, whose cost the image
//! decides.

#[cfg(all(feature = "watchdog", target_os = "linux"))]
pub(crate) use enabled::Watchdog;

#[cfg(not(all(feature = "watchdog", target_os = "linux")))]
pub(crate) use disabled::Watchdog;

#[cfg(all(feature = "watchdog", target_os = "linux"))]
mod enabled {
    use std::fs;
    use std::sync::Once;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use eryx_sync::Mutex;
    use rustix::time::{ClockId, clock_gettime};

    /// Ten time slices: short enough to notice work that a slice does not divide, long enough for
    /// the slower code of a test build.
    const LIMIT: Duration = Duration::from_millis(50);

    /// The time that a page fault counts for, if it takes longer: about what it usually takes.
    const USUAL_FAULT: Duration = Duration::from_micros(3);

    /// The most of the kernel's time that is put down to one page fault. It takes up to 750 µs on a
    /// virtual machine that gives unused memory back to its hypervisor.
    const LONGEST_FAULT: Duration = Duration::from_millis(1);

    /// Seeds the random number generator before the first execution: seeding takes about 50 ms,
    /// once in a process.
    static SEEDED: Once = Once::new();

    /// The watchdog of one execution.
    #[derive(Debug)]
    pub(crate) struct Watchdog {
        /// The thread's processor time at the last check, in nanoseconds.
        checked_at: AtomicU64,
        /// The page faults of the thread before the poll.
        faults: Mutex<PageFaults>,
        /// The interface of the host function that was called since.
        called: Mutex<Option<&'static str>>,
    }

    impl Default for Watchdog {
        fn default() -> Self {
            SEEDED.call_once(eryx_net_host::tls::seed_random);
            Self {
                checked_at: AtomicU64::new(0),
                faults: Mutex::default(),
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
            *self.faults.lock() = PageFaults::of_thread();
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
            let delay = PageFaults::of_thread().delay_since(&self.faults.lock());
            let took = took.saturating_sub(delay);
            if took <= LIMIT {
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

    /// The page faults of a thread, and the kernel's time on its behalf, which has that for them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct PageFaults {
        count: u32,
        system_time: Duration,
    }

    impl PageFaults {
        /// Returns those of this thread until now, or none if the kernel does not say.
        fn of_thread() -> Self {
            let stat = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
            Self::parse(&stat).unwrap_or_default()
        }

        /// Parses the text of proc_pid_stat(5).
        fn parse(stat: &str) -> Option<Self> {
            /// The positions of `minflt` and `stime` after the name of the thread.
            const MINOR_FAULTS: usize = 7;
            const SYSTEM_TIME: usize = 12;
            /// A second has 100 ticks on every architecture of Linux that the engine knows.
            const TICK: Duration = Duration::from_millis(10);
            // The name can have any character.
            let (_, fields) = stat.rsplit_once(") ")?;
            let field = |index| fields.split(' ').nth(index)?.parse::<u32>().ok();
            Some(Self {
                count: field(MINOR_FAULTS)?,
                system_time: TICK * field(SYSTEM_TIME)?,
            })
        }

        /// Returns how much longer than usual the page faults since `before` may have taken.
        fn delay_since(self, before: &Self) -> Duration {
            let faults = self.count.saturating_sub(before.count);
            self.system_time
                .saturating_sub(before.system_time)
                .min(LONGEST_FAULT.saturating_mul(faults))
                .saturating_sub(USUAL_FAULT.saturating_mul(faults))
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
        fn page_faults_excuse_only_what_they_take_longer_than_usual() {
            let stat = |faults, ticks| {
                let text = format!("7 (a) b) S 1 7 7 0 -1 64 {faults} 0 3 0 900 {ticks} 0 0 20 0");
                PageFaults::parse(&text).expect("parsed")
            };
            let before = stat(10, 2);
            let usual = USUAL_FAULT * 100;
            let delay = stat(110, 5).delay_since(&before);
            assert_eq!(delay, Duration::from_millis(30) - usual);
            // One fault does not excuse a long system call, nor do many an allocation.
            let delay = stat(11, 52).delay_since(&before);
            assert_eq!(delay, LONGEST_FAULT - USUAL_FAULT);
            assert_eq!(stat(20_010, 7).delay_since(&before), Duration::ZERO);
            assert_eq!(before.delay_since(&before), Duration::ZERO);
            assert_eq!(PageFaults::parse(""), None);
            let own = fs::read_to_string("/proc/thread-self/stat").expect("readable");
            assert!(PageFaults::parse(&own).is_some(), "{own}");
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
