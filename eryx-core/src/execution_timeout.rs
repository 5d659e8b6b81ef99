//! The execution timeout: the deadline of a call of the guest, and the limit of other work for a
//! program, such as forks, snapshots, resets and builds of a factory.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::limit::Limit;

/// Returns the deadline of work that began at `started`, or `None` if `Instant` cannot represent
/// it.
pub(crate) fn deadline(started: Instant, timeout: Duration) -> Option<Instant> {
    started.checked_add(timeout)
}

/// Runs `work` until `limit` has passed since `started`.
///
/// # Errors
///
/// [`Error::Limit`] when the time is up, and those of `work`.
pub(crate) async fn within_time_limit<T>(
    limit: Duration,
    started: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let Some(deadline) = deadline(started, limit) else {
        return work.await;
    };
    tokio::time::timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::Limit {
                limit: Limit::ExecutionTime(limit),
                output: Box::default(),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_yields_for_ever_ends_when_the_limit_has_passed_since_its_start() {
        let started = Instant::now();
        let limit = Duration::from_millis(20);
        let work = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        let ended = within_time_limit::<()>(limit, started, work).await;
        assert!(matches!(
            ended,
            Err(Error::Limit { limit: Limit::ExecutionTime(found), .. }) if found == limit
        ));
        assert!(started.elapsed() >= limit);
        // The time counts from the given start.
        let ended = within_time_limit::<()>(limit, started, std::future::pending()).await;
        assert!(matches!(ended, Err(Error::Limit { .. })));
    }

    #[tokio::test]
    async fn the_result_of_work_within_the_limit_is_returned() {
        for limit in [Duration::from_secs(60), Duration::MAX] {
            let result = within_time_limit(limit, Instant::now(), async { Ok(7) }).await;
            assert_eq!(result.expect("in time"), 7);
        }
    }
}
