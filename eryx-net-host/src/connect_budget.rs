//! A shared connect budget: a lookup followed directly by connects to its results (`getaddrinfo`,
//! then `connect` to one address after the other) spends one connect timeout in all.

use std::sync::Arc;
use std::time::Duration;

use eryx_sync::Mutex;
use tokio::time::Instant;

/// A connect that begins within this time after the previous one ended shares its budget; after a
/// longer gap it gets a full timeout.
const MAX_GAP: Duration = Duration::from_millis(250);

/// The deadline of a connect.
#[derive(Debug)]
pub(crate) struct ConnectDeadline {
    pub(crate) at: Instant,
    /// The connect, if its deadline comes from a budget that still has time left.
    pub(crate) budgeted: Option<BudgetedConnect>,
}

impl ConnectDeadline {
    /// Returns the deadline of an attempt without a shared budget.
    pub(crate) fn after(timeout: Duration) -> Self {
        Self {
            at: Instant::now() + timeout,
            budgeted: None,
        }
    }
}

/// The connect timeout that a lookup and the attempts to connect to its results share.
#[derive(Debug)]
pub(crate) struct ConnectBudget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    deadline: Instant,
    in_progress: usize,
    /// When the lookup or the last attempt ended. `None` after a success, because no attempt
    /// follows it.
    ended: Option<Instant>,
}

impl ConnectBudget {
    /// Returns the budget of a lookup that has just ended and whose deadline was `deadline`.
    pub(crate) fn after_lookup(deadline: Instant) -> Self {
        Self {
            state: Mutex::new(State {
                deadline,
                in_progress: 0,
                ended: Some(Instant::now()),
            }),
        }
    }

    /// Begins an attempt: with the deadline of the lookup and attempts that it follows directly, or
    /// `timeout` from now. An attempt that has no time left does not count as one.
    pub(crate) fn begin(self: &Arc<Self>, timeout: Duration) -> ConnectDeadline {
        let now = Instant::now();
        let mut state = self.state.lock();
        let directly = |ended| now.duration_since(ended) < MAX_GAP;
        let follows = state.in_progress > 0 || state.ended.is_some_and(directly);
        if !follows {
            state.deadline = now + timeout;
        } else if state.deadline <= now {
            return ConnectDeadline {
                at: state.deadline,
                budgeted: None,
            };
        }
        state.in_progress += 1;
        ConnectDeadline {
            at: state.deadline,
            budgeted: Some(BudgetedConnect {
                budget: Arc::clone(self),
                succeeded: false,
            }),
        }
    }
}

/// A connect in progress that uses the budget. Dropping it records a failure, unless
/// [`succeeded`](Self::succeeded) was called.
#[derive(Debug)]
pub(crate) struct BudgetedConnect {
    budget: Arc<ConnectBudget>,
    succeeded: bool,
}

impl BudgetedConnect {
    /// Records a success: the next attempt is a new connection with a full timeout.
    pub(crate) fn succeeded(mut self) {
        self.succeeded = true;
    }
}

impl Drop for BudgetedConnect {
    fn drop(&mut self) {
        let mut state = self.budget.state.lock();
        state.in_progress -= 1;
        state.ended = (!self.succeeded).then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn after_lookup_of(took: Duration) -> Arc<ConnectBudget> {
        Arc::new(ConnectBudget::after_lookup(Instant::now() + TIMEOUT - took))
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_follow_a_lookup_share_the_rest_of_its_timeout() {
        let budget = after_lookup_of(Duration::from_secs(4));
        let end = Instant::now() + Duration::from_secs(6);
        let first = budget.begin(TIMEOUT);
        assert_eq!(first.at, end);
        sleep(Duration::from_secs(2)).await;
        drop(first);
        let second = budget.begin(TIMEOUT);
        assert_eq!(second.at, end);
        advance(Duration::from_secs(4)).await;
        drop(second);
        let third = budget.begin(TIMEOUT);
        assert!(third.at <= Instant::now());
        assert!(third.budgeted.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_gap_or_a_success_an_attempt_has_the_full_timeout() {
        let budget = after_lookup_of(TIMEOUT);
        advance(MAX_GAP).await;
        let ConnectDeadline { at, budgeted } = budget.begin(TIMEOUT);
        assert_eq!(at, Instant::now() + TIMEOUT);
        advance(Duration::from_secs(1)).await;
        budgeted.expect("begun").succeeded();
        let next = budget.begin(TIMEOUT);
        assert_eq!(next.at, Instant::now() + TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_time_left_does_not_extend_the_gap() {
        let budget = after_lookup_of(TIMEOUT);
        for _ in 0..3 {
            let ConnectDeadline { at, budgeted } = budget.begin(TIMEOUT);
            assert!(at <= Instant::now() && budgeted.is_none());
            advance(MAX_GAP / 4).await;
        }
        advance(MAX_GAP / 4).await;
        assert!(budget.begin(TIMEOUT).budgeted.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn parallel_attempts_have_one_deadline() {
        let budget = after_lookup_of(Duration::ZERO);
        let first = budget.begin(TIMEOUT);
        advance(Duration::from_secs(3)).await;
        assert_eq!(budget.begin(TIMEOUT).at, first.at);
    }
}
