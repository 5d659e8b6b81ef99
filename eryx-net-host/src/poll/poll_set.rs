//! Waiting for many things at once, without a task or an allocation for each.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec};
use tokio::time::Sleep;

use crate::patience::uncounted;
use crate::prompt::{self, Waiting};

/// What the kernel is asked at once, before anything is looked at: of many that are waited for, few are ready.
#[derive(Default)]
pub struct PollSet<'a> {
    sockets: Vec<PollFd<'a>>,
    /// For each item whether it is one of `sockets`.
    asked: Vec<bool>,
}

/// A question the kernel can answer; see [`Connection::poll_item_readable`](crate::Connection::poll_item_readable).
pub struct PollItem<'a>(pub(crate) PollFd<'a>);

/// Which items are worth a look; all where nobody was asked.
#[derive(Default)]
pub struct Readiness(Vec<bool>);

impl<'a> PollSet<'a> {
    /// Adds the next item. One without a question is looked at.
    pub fn add(&mut self, question: Option<PollItem<'a>>) {
        self.asked.push(question.is_some());
        self.sockets.extend(question.map(|question| question.0));
    }

    /// Asks. Where the answer is that none is ready, it waits for one on this thread, within `timeout`, for about as
    /// long as it takes to have the runtime wait.
    pub fn ask(mut self, timeout: Option<Duration>) -> Readiness {
        let all = self.sockets.len() == self.asked.len();
        let limit = match timeout {
            Some(Duration::ZERO) => None,
            _ if self.sockets.is_empty() || !all => None,
            None => prompt::linger(),
            Some(timeout) => prompt::linger().map(|limit| limit.min(timeout)),
        };
        let limit = limit.unwrap_or_default();
        let limit = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        if self.sockets.is_empty() || rustix::event::poll(&mut self.sockets, Some(&limit)).is_err()
        {
            return Readiness(vec![true; self.asked.len()]);
        }
        let mut answers = self
            .sockets
            .iter()
            .map(|socket| !socket.revents().is_empty());
        for item in &mut self.asked {
            *item = !*item || answers.next().unwrap_or(true);
        }
        Readiness(self.asked)
    }
}

/// One look at everything, item by item in the order of the [`PollSet`].
pub struct Sweep<'a, 'b> {
    cx: &'a mut Context<'b>,
    told: Option<std::slice::Iter<'a, bool>>,
    began: Instant,
    turn: Duration,
    polled: bool,
}

impl<'a, 'b> Sweep<'a, 'b> {
    fn new(cx: &'a mut Context<'b>, told: Option<&'a Readiness>) -> Self {
        Self {
            cx,
            told: told.map(|told| told.0.iter()),
            began: Instant::now(),
            turn: TURN,
            polled: false,
        }
    }

    /// Whether the next item is ready: polls it with `poll`, unless the kernel has told that it is not, or those before it
    /// have taken a turn. Then the task is woken, and the item polled in a look to come.
    pub fn is_ready(&mut self, poll: impl FnOnce(&mut Context<'_>) -> Poll<()>) -> bool {
        if let Some(told) = &mut self.told
            && told.next() == Some(&false)
        {
            return false;
        }
        if self.polled && self.began.elapsed() >= self.turn {
            self.cx.waker().wake_by_ref();
            return false;
        }
        self.polled = true;
        poll(self.cx).is_ready()
    }
}

/// How long one look may take before the runtime gets its turn, and so deadlines and others: a peer decides what a poll
/// finds to do, up to some milliseconds for the certificates of a handshake, and there may be a handshake behind each of
/// a hundred items. What was polled and had much to do has little to do the next time, so that all are reached.
const TURN: Duration = Duration::from_millis(5);

/// Calls `look_at_all` until it says that something is ready, or `timeout` passes. Returns whether anything
/// was ready.
///
/// `look_at_all` looks at every item it stands for (see [`Connection::poll_readable`],
/// [`Connection::poll_writable`] and [`Lookup::poll_ready`]), notes which are ready and returns whether
/// any is. It runs once at the start and once for every wake-up. `None` waits without an end; a zero
/// timeout never waits. With nothing to poll it is a plain sleep.
///
/// [`Connection::poll_readable`]: crate::Connection::poll_readable
/// [`Connection::poll_writable`]: crate::Connection::poll_writable
/// [`Lookup::poll_ready`]: crate::Lookup::poll_ready
///
/// ```
/// use std::time::Duration;
/// use eryx_net_host::readiness;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let nothing_ready = readiness::wait_ready(Some(Duration::from_millis(1)), |_| false).await;
/// assert!(!nothing_ready);
/// # }
/// ```
pub async fn wait_ready(
    timeout: Option<Duration>,
    look_at_all: impl FnMut(&mut Sweep<'_, '_>) -> bool,
) -> bool {
    wait_ready_after(&Readiness::default(), timeout, look_at_all).await
}

/// As [`wait_ready`], but what the kernel was asked about is not looked at the first time unless it `told` that there is
/// something.
pub async fn wait_ready_after(
    told: &Readiness,
    timeout: Option<Duration>,
    mut look_at_all: impl FnMut(&mut Sweep<'_, '_>) -> bool,
) -> bool {
    let mut look_now = |told: Option<&Readiness>| {
        let mut cx = Context::from_waker(prompt::nobody());
        look_at_all(&mut Sweep::new(&mut cx, told))
    };
    if look_now(Some(told)) {
        return true;
    }
    if timeout == Some(Duration::ZERO) {
        // Lets the runtime get on with what it does, so that a program that only ever polls does, too.
        tokio::task::yield_now().await;
        return look_now(None);
    }
    let _waiting = Waiting::begin();
    let mut timer = pin!(None::<Sleep>);
    uncounted(move |cx| {
        if look_at_all(&mut Sweep::new(cx, None)) {
            return Poll::Ready(true);
        }
        let Some(timeout) = timeout else {
            return Poll::Pending;
        };
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(timeout)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| false),
            None => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn with_nothing_to_poll_it_sleeps() {
        let before = tokio::time::Instant::now();
        assert!(!wait_ready(Some(Duration::from_secs(3)), |_| false).await);
        assert!(before.elapsed() >= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_up_polls_everything_again() {
        let mut sleep = pin!(tokio::time::sleep(Duration::from_secs(1)));
        let ready = wait_ready(Some(Duration::from_secs(10)), |look| {
            look.is_ready(|cx| sleep.as_mut().poll(cx))
        })
        .await;
        assert!(ready);
    }

    #[test]
    fn a_look_whose_turn_is_over_puts_the_other_items_off_and_wakes_the_task() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let woken = std::sync::Arc::new(Count(0.into()));
        let waker = std::task::Waker::from(std::sync::Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut look = Sweep {
            turn: Duration::ZERO,
            ..Sweep::new(&mut cx, None)
        };
        let mut polled = 0;
        for item in 0..3 {
            let ready = look.is_ready(|_| {
                polled += 1;
                Poll::Ready(())
            });
            assert_eq!(ready, item == 0);
        }
        assert_eq!(polled, 1);
        assert!(woken.0.load(std::sync::atomic::Ordering::Relaxed) > 0);
    }

    #[tokio::test]
    async fn a_zero_timeout_never_waits() {
        let mut polls = 0;
        assert!(
            !wait_ready(Some(Duration::ZERO), |_| {
                polls += 1;
                false
            })
            .await
        );
        assert_eq!(polls, 2);
    }
}
