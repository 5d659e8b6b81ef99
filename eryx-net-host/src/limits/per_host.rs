//! Counting connections by the host they are to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eryx_net_policy::Host;

/// How many connections each host has, and may have.
#[derive(Debug)]
pub(crate) struct PerHost {
    limit: Option<usize>,
    /// Hosts without a connection are not in it, so it holds no more of them than there are connections.
    taken: Arc<Counts>,
}

type Counts = Mutex<HashMap<Host, usize>>;

/// A connection to one host, given back when dropped.
#[derive(Debug)]
pub(crate) struct HostPermit {
    /// `None`: nobody counts.
    counted: Option<(Host, Arc<Counts>)>,
}

impl PerHost {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            taken: Arc::default(),
        }
    }

    /// One more connection to `host`, or else the limit that is reached.
    pub(crate) fn take(&self, host: &Host) -> Result<HostPermit, usize> {
        let Some(limit) = self.limit else {
            return Ok(HostPermit { counted: None });
        };
        let mut taken = lock(&self.taken);
        let count = taken.get(host).copied().unwrap_or(0);
        if count >= limit {
            return Err(limit);
        }
        taken.insert(host.clone(), count + 1);
        Ok(HostPermit {
            counted: Some((host.clone(), Arc::clone(&self.taken))),
        })
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        let Some((host, taken)) = self.counted.take() else {
            return;
        };
        let mut taken = lock(&taken);
        match taken.get_mut(&host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&host);
            }
        }
    }
}

fn lock(taken: &Counts) -> MutexGuard<'_, HashMap<Host, usize>> {
    // Every change is one step, so a panic elsewhere spoils nothing.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).expect("a host")
    }

    #[test]
    fn hosts_are_counted_apart_and_forgotten_with_their_last_connection() {
        let hosts = PerHost::new(Some(2));
        let first = hosts.take(&host("a.example"));
        let second = hosts.take(&host("A.Example."));
        assert_eq!(hosts.take(&host("a.example")).err(), Some(2));
        let other = hosts.take(&host("192.0.2.1"));
        assert!(first.is_ok() && second.is_ok() && other.is_ok());
        drop(first);
        assert!(hosts.take(&host("a.example")).is_ok());
        drop((second, other));
        assert!(lock(&hosts.taken).is_empty());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let hosts = PerHost::new(None);
        let permits: Vec<_> = (0..1000).map(|_| hosts.take(&host("a.example"))).collect();
        assert!(permits.iter().all(Result::is_ok));
        assert!(lock(&hosts.taken).is_empty());
    }

    #[test]
    fn a_limit_of_zero_permits_none() {
        assert_eq!(
            PerHost::new(Some(0)).take(&host("a.example")).err(),
            Some(0)
        );
    }
}
