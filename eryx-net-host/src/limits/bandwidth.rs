//! What all connections of a sandbox together may carry in one direction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::pace::{Pace, Turn};
use crate::{NetConfig, NetError, NetLimit};

/// A total, a rate, both or neither.
#[derive(Debug)]
pub(crate) struct Meter {
    total: Option<Total>,
    pace: Option<(Pace, NetLimit)>,
}

/// So many bytes, and then no more.
#[derive(Debug)]
struct Total {
    limit: u64,
    left: AtomicU64,
    name: NetLimit,
}

/// What a [`Meter`] lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// This many bytes, at least one unless none were wanted. Those not used have to be
    /// [given back](Meter::give_back).
    Bytes(usize),
    /// Nothing any more.
    Spent,
}

impl Meter {
    /// For what is sent under `config`.
    pub(crate) fn sending(config: &NetConfig) -> Self {
        Self {
            total: total(config.max_sent_bytes(), NetLimit::MaxSentBytes),
            pace: pace(config.sent_bytes_per_second(), NetLimit::SentBytesPerSecond),
        }
    }

    /// For what is received under `config`.
    pub(crate) fn receiving(config: &NetConfig) -> Self {
        Self {
            total: total(config.max_received_bytes(), NetLimit::MaxReceivedBytes),
            pace: pace(
                config.received_bytes_per_second(),
                NetLimit::ReceivedBytesPerSecond,
            ),
        }
    }

    /// Reserves up to `wanted` bytes. Waits only for the rate.
    pub(crate) fn poll_reserve(
        &self,
        cx: &mut Context<'_>,
        turn: &mut Turn,
        wanted: usize,
    ) -> Poll<Room> {
        let reserved = match &self.total {
            Some(total) => total.reserve(wanted),
            None => wanted,
        };
        if reserved == 0 {
            return Poll::Ready(match wanted {
                0 => Room::Bytes(0),
                _ => Room::Spent,
            });
        }
        let Some((pace, _)) = &self.pace else {
            return Poll::Ready(Room::Bytes(reserved));
        };
        let granted = match turn.poll_take(cx, pace, reserved as u64) {
            // No more than was asked for, so it fits.
            Poll::Ready(granted) => granted as usize,
            Poll::Pending => 0,
        };
        if let Some(total) = &self.total {
            total.give_back(reserved - granted);
        }
        if granted == 0 {
            return Poll::Pending;
        }
        Poll::Ready(Room::Bytes(granted))
    }

    /// Ready when [`poll_reserve`](Self::poll_reserve) would be.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>, turn: &mut Turn) -> Poll<Room> {
        if self.is_spent() {
            return Poll::Ready(Room::Spent);
        }
        match &self.pace {
            Some((pace, _)) => turn.poll_look(cx, pace, u64::MAX),
            None => Poll::Ready(()),
        }
        .map(|()| Room::Bytes(1))
    }

    /// Takes all of `amount`, though it may be more than a second's worth: others wait for it then. Whether
    /// the total had that much; if not, nothing is taken.
    pub(crate) fn charge(&self, amount: usize) -> bool {
        if let Some(total) = &self.total
            && !total.take(amount)
        {
            return false;
        }
        if let Some((pace, _)) = &self.pace {
            pace.charge(amount as u64);
        }
        true
    }

    /// Takes back what was reserved and not used.
    pub(crate) fn give_back(&self, unused: usize) {
        if unused == 0 {
            return;
        }
        if let Some(total) = &self.total {
            total.give_back(unused);
        }
        if let Some((pace, _)) = &self.pace {
            pace.give_back(unused as u64);
        }
    }

    /// The limit that makes somebody wait.
    pub(crate) fn rate(&self) -> Option<NetLimit> {
        self.pace.as_ref().map(|(_, name)| *name)
    }

    /// What to say when there is no room any more.
    pub(crate) fn spent(&self) -> Option<(NetLimit, NetError)> {
        let total = self.total.as_ref()?;
        let (done, name) = match total.name {
            NetLimit::MaxSentBytes => ("sent", total.name),
            name => ("received", name),
        };
        let error = NetError::QuotaExceeded(format!(
            "this sandbox has {done} {} bytes, all it may ({name}): have the embedder raise {name}",
            total.limit
        ));
        Some((name, error))
    }

    fn is_spent(&self) -> bool {
        self.total
            .as_ref()
            .is_some_and(|total| total.left.load(Ordering::Acquire) == 0)
    }
}

impl Total {
    fn reserve(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let left = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                Some(left - left.min(wanted))
            })
            .unwrap_or(0);
        // No more than was asked for, so it fits.
        left.min(wanted) as usize
    }

    fn take(&self, amount: usize) -> bool {
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(amount as u64)
            })
            .is_ok()
    }

    fn give_back(&self, unused: usize) {
        self.left.fetch_add(unused as u64, Ordering::AcqRel);
    }
}

fn total(limit: Option<u64>, name: NetLimit) -> Option<Total> {
    limit.map(|limit| Total {
        limit,
        left: AtomicU64::new(limit),
        name,
    })
}

fn pace(per_second: Option<u64>, name: NetLimit) -> Option<(Pace, NetLimit)> {
    per_second.map(|per_second| (Pace::new(per_second), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn reserve(meter: &Meter, wanted: usize) -> Poll<Room> {
        let mut cx = Context::from_waker(Waker::noop());
        meter.poll_reserve(&mut cx, &mut Turn::default(), wanted)
    }

    #[tokio::test]
    async fn a_total_is_handed_out_once() {
        let config = NetConfig::default().with_max_sent_bytes(10);
        let meter = Meter::sending(&config);
        assert_eq!(reserve(&meter, 4), Poll::Ready(Room::Bytes(4)));
        assert_eq!(reserve(&meter, 100), Poll::Ready(Room::Bytes(6)));
        assert_eq!(reserve(&meter, 1), Poll::Ready(Room::Spent));
        assert_eq!(reserve(&meter, 0), Poll::Ready(Room::Bytes(0)));
        meter.give_back(2);
        assert_eq!(reserve(&meter, 5), Poll::Ready(Room::Bytes(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_rate_holds_nothing_of_the_total() {
        let config = NetConfig::default()
            .with_max_received_bytes(150)
            .with_received_bytes_per_second(100)
            .expect("a rate");
        let meter = Meter::receiving(&config);
        assert_eq!(reserve(&meter, 1000), Poll::Ready(Room::Bytes(100)));
        assert_eq!(reserve(&meter, 1000), Poll::Pending);
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        assert_eq!(reserve(&meter, 1000), Poll::Ready(Room::Bytes(50)));
        assert_eq!(reserve(&meter, 1000), Poll::Ready(Room::Spent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_charge_is_taken_whole_or_not_at_all_and_waited_for_afterwards() {
        let config = NetConfig::default()
            .with_max_sent_bytes(400)
            .with_sent_bytes_per_second(100)
            .expect("a rate");
        let meter = Meter::sending(&config);
        assert!(meter.charge(300));
        assert!(!meter.charge(101));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(
            meter.poll_room(&mut cx, &mut Turn::default()),
            Poll::Pending
        );
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        assert!(meter.poll_room(&mut cx, &mut Turn::default()).is_ready());
        assert!(meter.charge(100));
        assert_eq!(reserve(&meter, 1), Poll::Ready(Room::Spent));
    }

    #[tokio::test]
    async fn without_limits_everything_goes() {
        let meter = Meter::sending(&NetConfig::default());
        assert_eq!(
            reserve(&meter, usize::MAX),
            Poll::Ready(Room::Bytes(usize::MAX))
        );
        assert_eq!(meter.rate(), None);
        assert!(meter.spent().is_none());
    }
}
