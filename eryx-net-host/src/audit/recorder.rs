//! A ready-made observer that keeps events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Event, Observer};

/// Keeps the first events it is told, up to a bound, and counts the rest.
///
/// ```
/// use eryx_net_host::{NetConfig, Network, Recorder};
/// use std::sync::Arc;
///
/// let recorder = Arc::new(Recorder::new(1000));
/// let network = Network::new(&NetConfig::default()).with_observer(recorder.clone());
/// assert!(network.connect("127.0.0.1", 80).is_err());
/// assert_eq!(recorder.events().len(), 1);
/// ```
#[derive(Debug)]
pub struct Recorder {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Event>,
    dropped: u64,
}

impl Recorder {
    /// A recorder for at most `limit` events.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Mutex::default(),
        }
    }

    /// The events so far, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// How many events came after the limit was reached.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder {
    fn event(&self, event: &Event) {
        let mut kept = self.lock();
        if kept.events.len() < self.limit {
            kept.events.push(event.clone());
        } else {
            kept.dropped += 1;
        }
    }
}
