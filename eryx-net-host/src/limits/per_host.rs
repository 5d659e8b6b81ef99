//! The limit on connections to one host.

use std::collections::HashMap;
use std::sync::Arc;

use eryx_net_policy::Host;
use eryx_sync::Mutex;

/// A counting semaphore for each host.
#[derive(Debug)]
pub(crate) struct PerHost {
    limit: Option<usize>,
    /// Connections by host. A host is removed with its last connection, so that the map has no more
    /// entries than there are connections.
    in_use: Arc<Counts>,
}

type Counts = Mutex<HashMap<Host, usize>>;

/// A permit for one connection to a host. Released on drop.
#[derive(Debug)]
pub(crate) struct HostPermit {
    /// `None` when there is no per-host limit.
    counted: Option<(Host, Arc<Counts>)>,
}

impl PerHost {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            in_use: Arc::default(),
        }
    }

    /// Returns a permit for one more connection to `host`.
    ///
    /// # Errors
    ///
    /// The limit, when it is reached.
    pub(crate) fn try_acquire(&self, host: &Host) -> Result<HostPermit, usize> {
        let Some(limit) = self.limit else {
            return Ok(HostPermit { counted: None });
        };
        let mut in_use = self.in_use.lock();
        let count = in_use.get(host).copied().unwrap_or(0);
        if count >= limit {
            return Err(limit);
        }
        in_use.insert(host.clone(), count + 1);
        Ok(HostPermit {
            counted: Some((host.clone(), Arc::clone(&self.in_use))),
        })
    }
}

impl Drop for HostPermit {
    fn drop(&mut self) {
        let Some((host, in_use)) = self.counted.take() else {
            return;
        };
        let mut in_use = in_use.lock();
        match in_use.get_mut(&host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                in_use.remove(&host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::parse(text).expect("a host")
    }

    #[test]
    fn hosts_are_counted_separately_and_removed_with_their_last_connection() {
        let hosts = PerHost::new(Some(2));
        let first = hosts.try_acquire(&host("a.example"));
        let second = hosts.try_acquire(&host("A.Example."));
        assert_eq!(hosts.try_acquire(&host("a.example")).err(), Some(2));
        let other = hosts.try_acquire(&host("192.0.2.1"));
        assert!(first.is_ok() && second.is_ok() && other.is_ok());
        drop(first);
        assert!(hosts.try_acquire(&host("a.example")).is_ok());
        drop((second, other));
        assert!(hosts.in_use.lock().is_empty());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let hosts = PerHost::new(None);
        let permits: Vec<_> = (0..1000)
            .map(|_| hosts.try_acquire(&host("a.example")))
            .collect();
        assert!(permits.iter().all(Result::is_ok));
        assert!(hosts.in_use.lock().is_empty());
    }

    #[test]
    fn a_limit_of_zero_permits_no_connection() {
        let hosts = PerHost::new(Some(0));
        assert_eq!(hosts.try_acquire(&host("a.example")).err(), Some(0));
    }
}
