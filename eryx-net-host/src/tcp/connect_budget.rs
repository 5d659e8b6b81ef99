//! One connect timeout for a lookup and the attempts that follow it directly: `getaddrinfo`, and then `connect` to one
//! address after the other, is a program's way to connect to a name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How soon an attempt has to follow to be one of those. After a pause it has the whole timeout again.
const PAUSE: Duration = Duration::from_millis(250);

/// How long establishing a connection may take.
#[derive(Debug)]
pub(crate) struct Time {
    pub(crate) until: Instant,
    /// What shares it with others, if anything does.
    pub(crate) attempt: Option<Attempt>,
}

/// The attempts to connect to what a lookup returned.
#[derive(Debug)]
pub(crate) struct Attempts {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    deadline: Instant,
    under_way: usize,
    /// When the lookup or the last attempt ended, unless that succeeded: then nothing follows it.
    ended: Option<Instant>,
}

impl Attempts {
    /// None yet; the lookup that has just ended had until `deadline`.
    pub(crate) fn after_lookup(deadline: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                deadline,
                under_way: 0,
                ended: Some(Instant::now()),
            }),
        }
    }

    /// Begins one, that may go on as long as those before it, or for `timeout` if it follows none of them. One that
    /// would have no time left does not count.
    pub(crate) fn begin(self: &Arc<Self>, timeout: Duration) -> Time {
        let now = Instant::now();
        let mut state = self.lock();
        let directly = |ended| now.duration_since(ended) < PAUSE;
        let follows = state.under_way > 0 || state.ended.is_some_and(directly);
        if !follows {
            state.deadline = now + timeout;
        } else if state.deadline <= now {
            return Time {
                until: state.deadline,
                attempt: None,
            };
        }
        state.under_way += 1;
        let attempt = Attempt {
            attempts: Arc::clone(self),
            succeeded: false,
        };
        Time {
            until: state.deadline,
            attempt: Some(attempt),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is under way. Dropped, it has failed, or succeeded.
#[derive(Debug)]
pub(crate) struct Attempt {
    attempts: Arc<Attempts>,
    succeeded: bool,
}

impl Attempt {
    /// It has succeeded: what comes next is another connection.
    pub(crate) fn succeeded(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut state = self.attempts.lock();
        state.under_way -= 1;
        state.ended = (!self.succeeded).then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn after_lookup_of(took: Duration) -> Arc<Attempts> {
        Arc::new(Attempts::after_lookup(Instant::now() + TIMEOUT - took))
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_follow_a_lookup_share_what_it_left_of_the_timeout() {
        let attempts = after_lookup_of(Duration::from_secs(4));
        let end = Instant::now() + Duration::from_secs(6);
        let Time {
            until,
            attempt: first,
        } = attempts.begin(TIMEOUT);
        assert_eq!(until, end);
        sleep(Duration::from_secs(2)).await;
        drop(first);
        let Time {
            until,
            attempt: second,
        } = attempts.begin(TIMEOUT);
        assert_eq!(until, end);
        advance(Duration::from_secs(4)).await;
        drop(second);
        let Time {
            until,
            attempt: third,
        } = attempts.begin(TIMEOUT);
        assert!(until <= Instant::now());
        assert!(third.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_or_a_success_an_attempt_has_the_whole_timeout() {
        let attempts = after_lookup_of(TIMEOUT);
        advance(PAUSE).await;
        let Time { until, attempt } = attempts.begin(TIMEOUT);
        assert_eq!(until, Instant::now() + TIMEOUT);
        advance(Duration::from_secs(1)).await;
        attempt.expect("begun").succeeded();
        let Time { until, .. } = attempts.begin(TIMEOUT);
        assert_eq!(until, Instant::now() + TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn one_without_time_does_not_keep_a_later_one_from_its_own() {
        let attempts = after_lookup_of(TIMEOUT);
        for _ in 0..3 {
            let Time { until, attempt } = attempts.begin(TIMEOUT);
            assert!(until <= Instant::now() && attempt.is_none());
            advance(PAUSE / 4).await;
        }
        advance(PAUSE / 4).await;
        assert!(attempts.begin(TIMEOUT).attempt.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_side_by_side_have_one_deadline() {
        let attempts = after_lookup_of(Duration::ZERO);
        let first = attempts.begin(TIMEOUT);
        advance(Duration::from_secs(3)).await;
        assert_eq!(attempts.begin(TIMEOUT).until, first.until);
    }
}
