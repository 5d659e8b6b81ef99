//! A shared connect budget: a lookup followed directly by connects to its results (`getaddrinfo`,
//! then `connect` to one address after the other) spends one connect timeout in all. It also holds
//! which of the results failed, for the order of the next lookup's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use eryx_sync::Mutex;
use tokio::time::Instant;

/// A connect that begins within this time after the previous one ended shares its budget; after a
/// longer gap it gets a full timeout.
const MAX_GAP: Duration = Duration::from_millis(250);

/// How long an address counts as one that does not answer (RFC 6555, 4.2).
const FAILURE_TIME: Duration = Duration::from_mins(10);

/// The most addresses of a name that count as such. The earliest is forgotten first.
const MAX_FAILURES: usize = 4;

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
    failures: Failures,
    in_progress: usize,
    /// When the lookup or the last attempt ended. `None` after a success, because no attempt
    /// follows it.
    ended: Option<Instant>,
}

/// The addresses of a name to which the last connect failed, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(Vec<(SocketAddr, Instant)>);

impl Failures {
    /// The most memory that the failures of a name take, in bytes.
    pub(crate) const MEMORY: usize = MAX_FAILURES * size_of::<(SocketAddr, Instant)>();

    /// Moves addresses that do not answer on `port` behind the others (RFC 6724, 6, rule 1).
    pub(crate) fn sort(&self, addresses: &mut [IpAddr], port: u16) {
        let now = Instant::now();
        let failed = |address: &IpAddr| {
            let address = SocketAddr::new(*address, port);
            self.0.iter().any(|(other, at)| {
                *other == address && now.saturating_duration_since(*at) < FAILURE_TIME
            })
        };
        // A stable sort: everything else stays in its order.
        addresses.sort_by_key(failed);
    }

    fn insert(&mut self, address: SocketAddr) {
        self.remove(address);
        if self.0.len() == MAX_FAILURES {
            self.0.remove(0);
        }
        self.0.push((address, Instant::now()));
    }

    fn remove(&mut self, address: SocketAddr) {
        self.0.retain(|(other, _)| *other != address);
    }
}

impl ConnectBudget {
    /// Returns the budget of a lookup that has just ended and whose deadline was `deadline`.
    /// `failures` are those of the last lookup of the same name.
    pub(crate) fn after_lookup(deadline: Instant, failures: Failures) -> Self {
        Self {
            state: Mutex::new(State {
                deadline,
                failures,
                in_progress: 0,
                ended: Some(Instant::now()),
            }),
        }
    }

    /// Returns the addresses to which the last attempt failed.
    pub(crate) fn failures(&self) -> Failures {
        self.state.lock().failures.clone()
    }

    /// Begins an attempt to connect to `address`: with the deadline of the lookup and attempts that
    /// it follows directly, or `timeout` from now. An attempt that has no time left does not count
    /// as one.
    pub(crate) fn begin(
        self: &Arc<Self>,
        address: SocketAddr,
        timeout: Duration,
    ) -> ConnectDeadline {
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
                address,
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
    address: SocketAddr,
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
        match self.succeeded {
            true => state.failures.remove(self.address),
            false => state.failures.insert(self.address),
        }
        state.ended = (!self.succeeded).then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn peer(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }

    fn after_lookup_of(took: Duration) -> Arc<ConnectBudget> {
        Arc::new(ConnectBudget::after_lookup(
            Instant::now() + TIMEOUT - took,
            Failures::default(),
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_follow_a_lookup_share_the_rest_of_its_timeout() {
        let budget = after_lookup_of(Duration::from_secs(4));
        let end = Instant::now() + Duration::from_secs(6);
        let first = budget.begin(peer(1), TIMEOUT);
        assert_eq!(first.at, end);
        sleep(Duration::from_secs(2)).await;
        drop(first);
        let second = budget.begin(peer(1), TIMEOUT);
        assert_eq!(second.at, end);
        advance(Duration::from_secs(4)).await;
        drop(second);
        let third = budget.begin(peer(1), TIMEOUT);
        assert!(third.at <= Instant::now());
        assert!(third.budgeted.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_gap_or_a_success_an_attempt_has_the_full_timeout() {
        let budget = after_lookup_of(TIMEOUT);
        advance(MAX_GAP).await;
        let ConnectDeadline { at, budgeted } = budget.begin(peer(1), TIMEOUT);
        assert_eq!(at, Instant::now() + TIMEOUT);
        advance(Duration::from_secs(1)).await;
        budgeted.expect("begun").succeeded();
        let next = budget.begin(peer(1), TIMEOUT);
        assert_eq!(next.at, Instant::now() + TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_time_left_does_not_extend_the_gap() {
        let budget = after_lookup_of(TIMEOUT);
        for _ in 0..3 {
            let ConnectDeadline { at, budgeted } = budget.begin(peer(1), TIMEOUT);
            assert!(at <= Instant::now() && budgeted.is_none());
            advance(MAX_GAP / 4).await;
        }
        advance(MAX_GAP / 4).await;
        assert!(budget.begin(peer(1), TIMEOUT).budgeted.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn parallel_attempts_have_one_deadline() {
        let budget = after_lookup_of(Duration::ZERO);
        let first = budget.begin(peer(1), TIMEOUT);
        advance(Duration::from_secs(3)).await;
        assert_eq!(budget.begin(peer(1), TIMEOUT).at, first.at);
    }

    /// Returns the order of the addresses 1 to 3 on a port.
    fn order(budget: &ConnectBudget, port: u16) -> Vec<u8> {
        let mut addresses = [1, 2, 3].map(|last| peer(last).ip());
        budget.failures().sort(&mut addresses, port);
        let last = addresses.map(|address| match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => unreachable!("all are IPv4"),
        });
        last.to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_failed_comes_last_on_its_port_until_it_answers() {
        let budget = after_lookup_of(Duration::ZERO);
        assert_eq!(order(&budget, 443), [1, 2, 3]);
        drop(budget.begin(peer(1), TIMEOUT));
        assert_eq!(order(&budget, 443), [2, 3, 1]);
        assert_eq!(order(&budget, 80), [1, 2, 3]);
        let connect = budget.begin(peer(2), TIMEOUT).budgeted.expect("begun");
        connect.succeeded();
        assert_eq!(order(&budget, 443), [2, 3, 1]);
        let connect = budget.begin(peer(1), TIMEOUT).budgeted.expect("begun");
        connect.succeeded();
        assert_eq!(order(&budget, 443), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_forgotten_after_a_time_and_if_all_failed_the_order_stays() {
        let budget = after_lookup_of(Duration::ZERO);
        for last in [1, 2, 3] {
            drop(budget.begin(peer(last), TIMEOUT));
        }
        assert_eq!(order(&budget, 443), [1, 2, 3]);
        advance(FAILURE_TIME).await;
        drop(budget.begin(peer(2), TIMEOUT));
        assert_eq!(order(&budget, 443), [1, 3, 2]);
    }

    #[test]
    fn the_number_of_failures_is_bounded() {
        let mut failures = Failures::default();
        for last in 0..=u8::MAX {
            failures.insert(peer(last));
            failures.insert(peer(last));
        }
        assert_eq!(failures.0.len(), MAX_FAILURES);
        assert_eq!(failures.0[0].0, peer(u8::MAX - 3));
    }
}
