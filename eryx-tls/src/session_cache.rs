use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::digest::SettingsDigest;

/// Servers whose sessions are remembered, over all settings.
const SERVERS: usize = 64;
/// TLS 1.3 tickets kept for each. A ticket is used once (RFC 8446, C.4), and a server sends two as a rule.
pub(crate) const TICKETS: usize = 4;
/// Bytes of all sessions together, chains of certificates included: those of some fifty usual servers.
const CACHE_SIZE: usize = 512 * 1024;
/// Bytes of one session. The usual one has 6 KiB; both its ticket and its chain may have 64 KiB each.
const SESSION_SIZE: usize = 64 * 1024;
/// What a session takes besides its ticket and its chain, and a certificate besides its bytes.
const OVERHEAD: usize = 512;
const CERTIFICATE_OVERHEAD: usize = 64;

/// TLS sessions that can be resumed ([RFC 8446, 2.2](https://www.rfc-editor.org/rfc/rfc8446#section-2.2)): of 64 servers
/// and of 512 KiB at most, whatever servers send. Cheap to clone; clones share the sessions.
///
/// A server can tell that two connections resume the same session. So who shares a cache can be linked by servers, and
/// can see from a handshake whether another has been at a server lately.
#[derive(Clone, Default)]
pub struct SessionCache {
    servers: Arc<Mutex<Servers>>,
}

impl SessionCache {
    /// A cache that holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns about how many bytes the sessions take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().size
    }

    /// Returns the store of one connection. Sessions never pass from one set of settings to another.
    pub(crate) fn for_connection(&self, settings: SettingsDigest) -> Arc<ConnectionSessions> {
        Arc::new(ConnectionSessions {
            settings,
            cache: self.clone(),
            fresh: Mutex::default(),
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

impl fmt::Debug for SessionCache {
    /// Leaves the sessions out: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

type Key = (SettingsDigest, ServerName<'static>);

#[derive(Default)]
struct Servers {
    known: HashMap<Key, Server>,
    clock: u64,
    /// Bytes of all sessions.
    size: usize,
}

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Sized<Tls12ClientSessionValue>>,
    tls13: VecDeque<Sized<Tls13ClientSessionValue>>,
    used: u64,
}

/// A session and its bytes.
struct Sized<T> {
    session: T,
    size: usize,
}

impl Server {
    fn size(&self) -> usize {
        let tickets = self.tls13.iter().map(|ticket| ticket.size);
        tickets.sum::<usize>() + self.tls12.as_ref().map_or(0, |session| session.size)
    }
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
            self.forget_oldest();
        }
        let server = self.known.entry(key).or_default();
        server.used = self.clock;
        server
    }

    fn forget_oldest(&mut self) {
        let oldest = self.known.iter().min_by_key(|(_, server)| server.used);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone())
            && let Some(server) = self.known.remove(&oldest)
        {
            self.size -= server.size();
        }
    }

    fn file(&mut self, key: Key, session: Session, size: usize) {
        let server = self.get_or_insert(key);
        let before = server.size();
        match session {
            Session::Tls12(session) => server.tls12 = Some(Sized { session, size }),
            Session::Tls13(session) => {
                while server.tls13.len() >= TICKETS {
                    server.tls13.pop_front();
                }
                server.tls13.push_back(Sized { session, size });
            }
        }
        let after = server.size();
        self.size = self.size + after - before;
        while self.size > CACHE_SIZE {
            self.forget_oldest();
        }
    }
}

enum Session {
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// The store of one connection: sessions that come wait in it until they are [filed](Self::file) under their size, which
/// rustls does not tell.
pub(crate) struct ConnectionSessions {
    settings: SettingsDigest,
    cache: SessionCache,
    /// The newest, [`TICKETS`] of them at most.
    fresh: Mutex<VecDeque<(ServerName<'static>, Session)>>,
}

impl ConnectionSessions {
    /// Files the sessions that have come, of `received` bytes together at most, from a peer with this chain. Returns
    /// whether there were any.
    pub(crate) fn file(&self, received: usize, chain: &[CertificateDer<'_>]) -> bool {
        let fresh = std::mem::take(&mut *self.fresh());
        if fresh.is_empty() {
            return false;
        }
        let chain = chain.iter().map(|cert| cert.len() + CERTIFICATE_OVERHEAD);
        let size = received + chain.sum::<usize>() + OVERHEAD;
        if size <= SESSION_SIZE {
            let mut servers = self.cache.lock();
            for (name, session) in fresh {
                servers.file((self.settings, name), session, size);
            }
        }
        true
    }

    fn fresh(&self) -> MutexGuard<'_, VecDeque<(ServerName<'static>, Session)>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, name: ServerName<'static>, session: Session) {
        let mut fresh = self.fresh();
        while fresh.len() >= TICKETS {
            fresh.pop_front();
        }
        fresh.push_back((name, session));
    }

    fn key(&self, name: &ServerName<'_>) -> Key {
        (self.settings, name.to_owned())
    }
}

impl ClientSessionStore for ConnectionSessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        let mut servers = self.cache.lock();
        servers.get_or_insert((self.settings, name)).group = Some(group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.cache.lock().get(&self.key(name))?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.receive(name, Session::Tls12(value));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let mut servers = self.cache.lock();
        let server = servers.get(&self.key(name))?;
        server.tls12.as_ref().map(|session| session.session.clone())
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        let mut servers = self.cache.lock();
        let removed = servers
            .get(&self.key(name))
            .and_then(|server| server.tls12.take());
        servers.size -= removed.map_or(0, |session| session.size);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.receive(name, Session::Tls13(value));
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut servers = self.cache.lock();
        let taken = servers.get(&self.key(name))?.tls13.pop_back()?;
        servers.size -= taken.size;
        Some(taken.session)
    }
}

impl fmt::Debug for ConnectionSessions {
    /// Leaves the sessions out: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSessions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;
    use rustls::client::ClientSessionStore;
    use rustls_pki_types::ServerName;

    use super::{SERVERS, SessionCache};
    use crate::digest::SettingsDigest;

    fn name(index: usize) -> ServerName<'static> {
        ServerName::try_from(format!("host{index}.example")).expect("a valid name")
    }

    #[test]
    fn the_least_recently_used_server_is_forgotten_first() {
        let cache = SessionCache::default();
        let store = cache.for_connection(SettingsDigest::numbered(1));
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
    fn what_was_learned_under_some_settings_is_not_seen_under_others() {
        let cache = SessionCache::default();
        let [one, other] =
            [1, 2].map(|number| cache.for_connection(SettingsDigest::numbered(number)));
        one.set_kx_hint(name(0), NamedGroup::X25519);
        assert_eq!(other.kx_hint(&name(0)), None);
    }
}
