//! The TLS session cache.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::sync::Arc;

use eryx_sync::{Mutex, MutexGuard};
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::{CertificateDer, ServerName};

use crate::digest::SettingsDigest;

/// The most servers in a cache. A server counts once for each of the settings it is used with.
const MAX_SERVERS: usize = 64;
/// The most TLS 1.3 tickets of one server. A ticket is used once (RFC 8446, C.4), and servers
/// usually send two.
pub(crate) const MAX_TICKETS: usize = 4;
/// The most bytes of all sessions of a cache, with their certificate chains: the sessions of about
/// fifty usual servers.
const CACHE_SIZE: usize = 512 * 1024;
/// The most bytes of one session. A usual session has 6 KiB; its ticket and its chain may have 64
/// KiB each.
const SESSION_SIZE: usize = 64 * 1024;
/// The memory of a session besides its ticket and its chain, in bytes.
const OVERHEAD: usize = 512;
/// The memory of a certificate besides its DER, in bytes.
const CERTIFICATE_OVERHEAD: usize = 64;

/// A cache of TLS sessions to resume
/// ([RFC 8446, 2.2](https://www.rfc-editor.org/rfc/rfc8446#section-2.2)): of at most 64 servers and
/// 512 KiB. Cheap to clone; clones share the sessions.
///
/// A server can recognise that two connections resume the same session. Programs that share a cache
/// can therefore be linked by servers, and can see from a handshake whether another program has
/// connected to a server recently.
#[derive(Clone, Default)]
pub struct SessionCache {
    servers: Arc<Mutex<Servers>>,
}

impl SessionCache {
    /// Returns an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the approximate size of the sessions, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().size
    }

    /// Returns the session store of one connection. It only uses sessions with equal settings.
    pub(crate) fn for_connection(&self, settings: SettingsDigest) -> Arc<ConnectionSessions> {
        Arc::new(ConnectionSessions {
            settings,
            cache: self.clone(),
            received: Mutex::default(),
        })
    }

    /// Returns the number of TLS 1.3 tickets of all servers.
    #[cfg(test)]
    pub(crate) fn tickets(&self) -> usize {
        let servers = self.lock();
        servers
            .entries
            .values()
            .map(|server| server.tls13.len())
            .sum()
    }

    fn lock(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock()
    }
}

impl fmt::Debug for SessionCache {
    /// Omits the sessions, which are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCache")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

type Key = (SettingsDigest, ServerName<'static>);

#[derive(Default)]
struct Servers {
    entries: HashMap<Key, Server>,
    clock: u64,
    /// The size of all sessions, in bytes.
    size: usize,
}

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<SizedSession<Tls12ClientSessionValue>>,
    tls13: VecDeque<SizedSession<Tls13ClientSessionValue>>,
    /// The value of `Servers::clock` at the last use.
    last_used: u64,
}

/// A session and its size in bytes.
struct SizedSession<T> {
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
        let server = self.entries.get_mut(key)?;
        server.last_used = self.clock;
        Some(server)
    }

    fn get_or_insert(&mut self, key: Key) -> &mut Server {
        self.clock += 1;
        if self.entries.len() >= MAX_SERVERS && !self.entries.contains_key(&key) {
            self.evict_oldest();
        }
        let server = self.entries.entry(key).or_default();
        server.last_used = self.clock;
        server
    }

    fn evict_oldest(&mut self) {
        let oldest = self
            .entries
            .iter()
            .min_by_key(|(_, server)| server.last_used);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone())
            && let Some(server) = self.entries.remove(&oldest)
        {
            self.size -= server.size();
        }
    }

    fn insert(&mut self, key: Key, session: Session, size: usize) {
        let server = self.get_or_insert(key);
        let before = server.size();
        match session {
            Session::Tls12(session) => server.tls12 = Some(SizedSession { session, size }),
            Session::Tls13(session) => {
                while server.tls13.len() >= MAX_TICKETS {
                    server.tls13.pop_front();
                }
                server.tls13.push_back(SizedSession { session, size });
            }
        }
        let after = server.size();
        self.size = self.size + after - before;
        while self.size > CACHE_SIZE {
            self.evict_oldest();
        }
    }
}

enum Session {
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// The session store of one connection.
///
/// rustls does not report the size of a session. A received session therefore waits here until
/// [`store_received`](Self::store_received) moves it into the cache with its size.
pub(crate) struct ConnectionSessions {
    settings: SettingsDigest,
    cache: SessionCache,
    /// The newest received sessions, at most [`MAX_TICKETS`].
    received: Mutex<VecDeque<(ServerName<'static>, Session)>>,
}

impl ConnectionSessions {
    /// Moves the received sessions, of at most `bytes` bytes together, from a peer with this chain
    /// into the cache. Returns whether there were any.
    pub(crate) fn store_received(&self, bytes: usize, chain: &[CertificateDer<'_>]) -> bool {
        let received = mem::take(&mut *self.received());
        if received.is_empty() {
            return false;
        }
        let chain = chain.iter().map(|cert| cert.len() + CERTIFICATE_OVERHEAD);
        let size = bytes + chain.sum::<usize>() + OVERHEAD;
        if size <= SESSION_SIZE {
            let mut servers = self.cache.lock();
            for (name, session) in received {
                servers.insert((self.settings, name), session, size);
            }
        }
        true
    }

    fn received(&self) -> MutexGuard<'_, VecDeque<(ServerName<'static>, Session)>> {
        self.received.lock()
    }

    fn receive(&self, name: ServerName<'static>, session: Session) {
        let mut received = self.received();
        while received.len() >= MAX_TICKETS {
            received.pop_front();
        }
        received.push_back((name, session));
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
    /// Omits the sessions, which are secrets.
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

    use super::{MAX_SERVERS, SessionCache};
    use crate::digest::SettingsDigest;

    fn name(index: usize) -> ServerName<'static> {
        ServerName::try_from(format!("host{index}.example")).expect("a valid name")
    }

    #[test]
    fn the_least_recently_used_server_is_evicted_first() {
        let cache = SessionCache::default();
        let store = cache.for_connection(SettingsDigest::numbered(1));
        for index in 0..MAX_SERVERS {
            store.set_kx_hint(name(index), NamedGroup::X25519);
        }
        assert_eq!(store.kx_hint(&name(0)), Some(NamedGroup::X25519));
        store.set_kx_hint(name(MAX_SERVERS), NamedGroup::X25519);
        assert_eq!(cache.lock().entries.len(), MAX_SERVERS);
        assert_eq!(store.kx_hint(&name(0)), Some(NamedGroup::X25519));
        assert_eq!(store.kx_hint(&name(1)), None);
    }

    #[test]
    fn sessions_of_some_settings_are_not_used_with_others() {
        let cache = SessionCache::default();
        let [first, second] =
            [1, 2].map(|number| cache.for_connection(SettingsDigest::numbered(number)));
        first.set_kx_hint(name(0), NamedGroup::X25519);
        assert_eq!(second.kx_hint(&name(0)), None);
    }
}
