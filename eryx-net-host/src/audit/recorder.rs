//! An observer that stores events.

use eryx_sync::Mutex;

use crate::audit::event::Event;
use crate::audit::event::Observer;

/// An observer that stores the first events, up to a bound, and counts the rest.
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
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    events: Vec<Event>,
    dropped: u64,
}

impl Recorder {
    /// Returns a recorder for at most `limit` events.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Mutex::default(),
        }
    }

    /// Returns the events so far, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.entries.lock().events.clone()
    }

    /// Returns the number of events after the limit was reached.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.entries.lock().dropped
    }
}

impl Observer for Recorder {
    fn event(&self, event: &Event) {
        let mut entries = self.entries.lock();
        if entries.events.len() < self.limit {
            entries.events.push(event.clone());
        } else {
            entries.dropped += 1;
        }
    }
}
