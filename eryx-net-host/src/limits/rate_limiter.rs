//! So much a second.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// What rates are given for, and how much time's worth may go at once after a pause unless said otherwise.
const SECOND: Duration = Duration::from_secs(1);

/// For how much time's worth somebody who wants more waits, lest every byte be handed out by itself.
const PORTION: u64 = 50;

/// A rate that many share: a bucket that holds a second's worth, or as much as is said, and fills steadily.
///
/// It is kept as one point in time, up to which everything is spent (the "generic cell rate algorithm"):
/// nothing has to run for it to fill.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: u64,
    burst: Duration,
    spent_until: Mutex<Instant>,
}

impl Pace {
    /// A rate of at least 1.
    pub(crate) fn new(per_second: u64) -> Self {
        Self {
            per_second: per_second.max(1),
            burst: SECOND,
            spent_until: Mutex::new(Instant::now()),
        }
    }

    /// A rate of at least 1, with as many as `burst` at once after a pause.
    pub(crate) fn with_burst(per_second: u64, burst: u64) -> Self {
        let mut pace = Self::new(per_second);
        pace.burst = pace.cost(burst.max(1));
        pace
    }

    /// As many of `wanted` as there are, or else when to ask again.
    fn take(&self, wanted: u64) -> Result<u64, Instant> {
        let now = Instant::now();
        let mut spent_until = self.lock();
        let granted = self.there(*spent_until, now, wanted)?.min(wanted);
        *spent_until = (*spent_until).max(now) + self.cost(granted);
        Ok(granted)
    }

    /// Whether [`take`](Self::take) would grant something, or else when.
    fn look(&self, wanted: u64) -> Result<(), Instant> {
        self.there(*self.lock(), Instant::now(), wanted).map(drop)
    }

    /// Takes `amount` at once, be it more than there is: nobody gets any before that is made up for.
    pub(crate) fn charge(&self, amount: u64) {
        let mut spent_until = self.lock();
        *spent_until = (*spent_until).max(Instant::now()) + self.cost(amount);
    }

    /// Takes back what was granted and not used.
    pub(crate) fn give_back(&self, unused: u64) {
        let mut spent_until = self.lock();
        if let Some(earlier) = spent_until.checked_sub(self.cost(unused)) {
            *spent_until = earlier;
        }
    }

    /// The next turn, taken one at a time; `None`, and nothing is taken, when it comes after `latest`.
    pub(crate) fn book(&self, latest: Instant) -> Option<Instant> {
        let now = Instant::now();
        let mut spent_until = self.lock();
        let then = spent_until.saturating_duration_since(now) + self.cost(1);
        let turn = now + then.saturating_sub(self.burst);
        if turn > latest {
            return None;
        }
        *spent_until = now + then;
        Some(turn)
    }

    fn there(&self, spent_until: Instant, now: Instant, wanted: u64) -> Result<u64, Instant> {
        let ahead = spent_until.saturating_duration_since(now);
        let room = self.burst.saturating_sub(ahead).as_nanos() * u128::from(self.per_second);
        let there = u64::try_from(room / SECOND.as_nanos()).unwrap_or(u64::MAX);
        let portion = (self.per_second / PORTION).clamp(1, wanted.max(1));
        if there >= portion {
            return Ok(there);
        }
        // The portion takes longer than what is left of the burst, so this lies in the future.
        Err(now + (ahead + self.cost(portion)).saturating_sub(self.burst))
    }

    /// How long `amount` takes, rounded up.
    fn cost(&self, amount: u64) -> Duration {
        let nanos = (u128::from(amount) * SECOND.as_nanos()).div_ceil(u128::from(self.per_second));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.spent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a [`Pace`]. It arms a timer only when there is nothing to be had.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Turn {
    /// As many of `wanted` as there are, at least one.
    pub(crate) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        pace: &Pace,
        wanted: u64,
    ) -> Poll<u64> {
        self.poll_until(cx, || pace.take(wanted))
    }

    /// Ready when [`poll_take`](Self::poll_take) would be.
    pub(crate) fn poll_look(&mut self, cx: &mut Context<'_>, pace: &Pace, wanted: u64) -> Poll<()> {
        self.poll_until(cx, || pace.look(wanted))
    }

    fn poll_until<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Result<T, Instant>,
    ) -> Poll<T> {
        loop {
            let when = match attempt() {
                Ok(outcome) => {
                    self.timer = None;
                    return Poll::Ready(outcome);
                }
                Err(when) => when,
            };
            match &mut self.timer {
                Some(timer) if timer.deadline() == when => {}
                Some(timer) => timer.as_mut().reset(when),
                none => *none = Some(Box::pin(tokio::time::sleep_until(when))),
            }
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn take(pace: &Pace, wanted: u64) -> u64 {
        let mut turn = Turn::default();
        poll_fn(|cx| turn.poll_take(cx, pace, wanted)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_seconds_worth_goes_at_once_and_the_rest_at_the_rate() {
        for rate in [1, 10, 1000, 1 << 20, 1 << 40] {
            let pace = Pace::new(rate);
            let begun = Instant::now();
            let mut left = rate * 4;
            while left > 0 {
                let granted = take(&pace, left).await;
                assert!(granted > 0);
                left -= granted;
            }
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(2999), "{rate}: {took:?}");
            assert!(took <= Duration::from_millis(3100), "{rate}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let pace = Pace::with_burst(100, 256);
        let begun = Instant::now();
        for n in 0..456 {
            assert_eq!(take(&pace, 1).await, 1);
            if n == 255 {
                assert_eq!(begun.elapsed(), Duration::ZERO);
            }
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(1999), "{took:?}");
        assert!(took <= Duration::from_millis(2300), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_can_be_had_again_and_no_more() {
        let pace = Pace::new(100);
        let begun = Instant::now();
        for _ in 0..50 {
            let granted = take(&pace, 100).await;
            pace.give_back(granted);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(take(&pace, 1000).await, 100);
        assert!(pace.look(1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_saves_up_a_second_and_no_more() {
        let pace = Pace::new(100);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(take(&pace, 1000).await, 100);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(take(&pace, 1000).await, 50);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_not_woken_for_every_byte() {
        let pace = Pace::new(10_000);
        take(&pace, 10_000).await;
        let mut turn = Turn::default();
        let mut polls = 0;
        let mut left: u64 = 10_000;
        poll_fn(|cx| {
            polls += 1;
            while left > 0 {
                left -= ready!(turn.poll_take(cx, &pace, left));
            }
            Poll::Ready(())
        })
        .await;
        assert!(polls <= 60, "{polls}");
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_handed_out_one_after_another_until_it_is_too_late() {
        let pace = Pace::new(2);
        let now = Instant::now();
        let latest = now + Duration::from_secs(1);
        let turns: Vec<_> = (0..6)
            .map(|_| pace.book(latest).map(|turn| turn - now))
            .collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(turns, [ms(0), ms(0), ms(500), ms(1000), None, None]);
        tokio::time::advance(Duration::from_millis(600)).await;
        let later = pace.book(Instant::now() + Duration::from_secs(1));
        assert_eq!(
            later.map(|turn| turn - now),
            ms(1500),
            "a refusal takes no turn"
        );
    }
}
