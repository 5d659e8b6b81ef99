use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

/// Servers whose sessions are remembered, over all settings.
const SERVERS: usize = 64;
/// TLS 1.3 tickets kept for each. A ticket is used once (RFC 8446, C.4), and a server sends two as a rule.
pub(crate) const TICKETS: usize = 4;

/// The sessions of one connector, bounded together so that no number of distinct settings multiplies them.
///
/// A hostile server can make a session large (a ticket and a chain of 64 KiB each), never numerous.
#[derive(Default)]
pub(crate) struct SessionCache {
    servers: Mutex<Servers>,
}

impl SessionCache {
    /// A store for one set of settings: sessions never pass from one set to another.
    pub(crate) fn scope(self: &Arc<Self>, scope: u64) -> Arc<dyn ClientSessionStore> {
        Arc::new(Scoped {
            scope,
            cache: Arc::clone(self),
        })
    }

    /// How many TLS 1.3 tickets are held, for all servers together.
    #[cfg(test)]
    pub(crate) fn tickets(&self) -> usize {
        let servers = self.lock();
        servers
            .known
            .values()
            .map(|server| server.tls13.len())
            .sum()
    }

    fn lock(&self) -> MutexGuard<'_, Servers> {
        // Each operation leaves the map whole, so a panic elsewhere does not spoil it.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Key = (u64, ServerName<'static>);

#[derive(Default)]
struct Servers {
    known: HashMap<Key, Server>,
    clock: u64,
}

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
    used: u64,
}

impl Servers {
    fn get(&mut self, key: &Key) -> Option<&mut Server> {
        self.clock += 1;
        let server = self.known.get_mut(key)?;
        server.used = self.clock;
        Some(server)
    }

    fn get_or_insert(&mut self, key: Key) -> &mut Server {
        self.clock += 1;
        if self.known.len() >= SERVERS && !self.known.contains_key(&key) {
            let oldest = self.known.iter().min_by_key(|(_, server)| server.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.known.remove(&oldest);
            }
        }
        let server = self.known.entry(key).or_default();
        server.used = self.clock;
        server
    }
}

struct Scoped {
    scope: u64,
    cache: Arc<SessionCache>,
}

impl Scoped {
    fn key(&self, name: &ServerName<'_>) -> Key {
        (self.scope, name.to_owned())
    }
}

impl ClientSessionStore for Scoped {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.cache.lock().get_or_insert((self.scope, name)).group = Some(group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.cache.lock().get(&self.key(name))?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.cache.lock().get_or_insert((self.scope, name)).tls12 = Some(value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.cache.lock().get(&self.key(name))?.tls12.clone()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(server) = self.cache.lock().get(&self.key(name)) {
            server.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut servers = self.cache.lock();
        let tickets = &mut servers.get_or_insert((self.scope, name)).tls13;
        while tickets.len() >= TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.cache.lock().get(&self.key(name))?.tls13.pop_back()
    }
}

impl fmt::Debug for Scoped {
    /// Leaves the sessions out: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::NamedGroup;
    use rustls_pki_types::ServerName;

    use super::{SERVERS, SessionCache};

    fn name(index: usize) -> ServerName<'static> {
        ServerName::try_from(format!("host{index}.example")).expect("a valid name")
    }

    #[test]
    fn the_least_recently_used_server_is_forgotten_first() {
        let cache = Arc::new(SessionCache::default());
        let store = cache.scope(1);
        for index in 0..SERVERS {
            store.set_kx_hint(name(index), NamedGroup::X25519);
        }
        assert_eq!(store.kx_hint(&name(0)), Some(NamedGroup::X25519));
        store.set_kx_hint(name(SERVERS), NamedGroup::X25519);
        assert_eq!(cache.lock().known.len(), SERVERS);
        assert_eq!(store.kx_hint(&name(0)), Some(NamedGroup::X25519));
        assert_eq!(store.kx_hint(&name(1)), None);
    }

    #[test]
    fn what_one_scope_learned_another_does_not_see() {
        let cache = Arc::new(SessionCache::default());
        cache.scope(1).set_kx_hint(name(0), NamedGroup::X25519);
        assert_eq!(cache.scope(2).kx_hint(&name(0)), None);
    }
}
