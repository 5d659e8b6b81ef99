//! Caches of rustls client configurations: one shared by all scopes, and one in each scope.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use eryx_sync::{Mutex, MutexGuard};
use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::digest::SettingsDigest;
use crate::error::TlsError;
use crate::session_cache::ConnectionSessions;

/// The most configurations in the shared cache.
pub(crate) const SHARED_CONFIGS: usize = 32;
/// The most bytes of configurations in the shared cache. A configuration with the usual public
/// roots, given by the guest program, has 400 KiB.
const SHARED_SIZE: usize = 1024 * 1024;

/// The most configurations that a scope keeps without using them.
const SCOPE_CONFIGS: usize = 8;
/// The most bytes of configurations that a scope keeps or uses: the largest possible configuration,
/// and two with the usual public roots.
const SCOPE_SIZE: usize = 6 * 1024 * 1024;

/// A configuration without session resumption.
pub(crate) struct Config {
    pub(crate) client: ClientConfig,
    /// The approximate size, in bytes.
    pub(crate) size: usize,
    /// Whether the configuration has a client's private key.
    pub(crate) has_key: bool,
}

/// The configurations that all scopes share: at most [`SHARED_CONFIGS`], of at most [`SHARED_SIZE`]
/// bytes together. A configuration with a guest program's private key is never stored.
#[derive(Default)]
pub(crate) struct ConfigCache {
    /// Ordered by use, the most recent last.
    entries: Mutex<Vec<(SettingsDigest, Arc<Config>)>>,
}

impl ConfigCache {
    pub(crate) fn get(&self, digest: SettingsDigest) -> Option<Arc<Config>> {
        find(&mut self.lock(), digest)
    }

    /// Stores `config`, and returns it. If another thread has stored a configuration with this
    /// digest meanwhile, returns that one instead.
    pub(crate) fn insert(&self, digest: SettingsDigest, config: Arc<Config>) -> Arc<Config> {
        if config.has_key || config.size > SHARED_SIZE {
            return config;
        }
        let mut entries = self.lock();
        if let Some(existing) = find(&mut entries, digest) {
            return existing;
        }
        entries.push((digest, Arc::clone(&config)));
        while entries.len() > SHARED_CONFIGS || total_size(&entries) > SHARED_SIZE {
            entries.remove(0);
        }
        config
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        total_size(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(SettingsDigest, Arc<Config>)>> {
        self.entries.lock()
    }
}

/// Returns the entry with this digest, and makes it the most recently used.
fn find<T>(entries: &mut [(SettingsDigest, Arc<T>)], digest: SettingsDigest) -> Option<Arc<T>> {
    let position = entries.iter().position(|(other, _)| *other == digest)?;
    entries[position..].rotate_left(1);
    entries.last().map(|(_, config)| Arc::clone(config))
}

fn total_size(entries: &[(SettingsDigest, Arc<Config>)]) -> usize {
    entries.iter().map(|(_, config)| config.size).sum()
}

/// The configurations of one scope, such as a sandbox: at most [`SCOPE_SIZE`] bytes together,
/// including those of open connections.
#[derive(Default)]
pub(crate) struct ScopeConfigs {
    entries: Mutex<ScopeEntries>,
    size: Arc<AtomicUsize>,
}

#[derive(Default)]
struct ScopeEntries {
    /// Configurations that the scope keeps, ordered by use, the most recent last.
    recent: Vec<(SettingsDigest, Arc<ScopeConfig>)>,
    /// Configurations of open connections, and some that have been dropped.
    in_use: HashMap<SettingsDigest, Weak<ScopeConfig>>,
}

/// A configuration of a scope. It counts against the scope's limit until it is dropped.
pub(crate) struct ScopeConfig {
    config: Arc<Config>,
    scope_size: Arc<AtomicUsize>,
}

impl ScopeConfig {
    /// Returns the configuration for one connection, which is a cheap copy.
    pub(crate) fn client_config(&self, sessions: Option<Arc<ConnectionSessions>>) -> ClientConfig {
        let mut config = self.config.client.clone();
        if let Some(sessions) = sessions {
            config.resumption = Resumption::store(sessions);
        }
        config
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Config> {
        &self.config
    }
}

impl Drop for ScopeConfig {
    fn drop(&mut self) {
        self.scope_size
            .fetch_sub(self.config.size, Ordering::AcqRel);
    }
}

impl ScopeConfigs {
    /// Returns the configuration for `digest`, and builds it with `build` if there is none.
    ///
    /// # Errors
    ///
    /// Those of `build`; [`TlsError::Refused`] when a configuration of `size` bytes would exceed
    /// the scope's limit.
    pub(crate) fn get_or_build(
        &self,
        digest: SettingsDigest,
        size: usize,
        build: impl FnOnce() -> Result<Arc<Config>, TlsError>,
    ) -> Result<Arc<ScopeConfig>, TlsError> {
        if let Some(existing) = self.lock().get(digest) {
            return Ok(existing);
        }
        // Checks the limit before the work, and again after it: other threads may have added
        // configurations meanwhile.
        drop(self.evict_for(size)?);
        // Builds without the lock: parsing a bundle of roots must not block other connections.
        let config = build()?;
        let mut entries = self.evict_for(config.size)?;
        if let Some(existing) = entries.get(digest) {
            return Ok(existing);
        }
        self.size.fetch_add(config.size, Ordering::AcqRel);
        let config = Arc::new(ScopeConfig {
            config,
            scope_size: Arc::clone(&self.size),
        });
        entries.insert(digest, &config);
        Ok(config)
    }

    /// Returns the approximate size of the scope's configurations, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    /// Evicts configurations that are not in use until `size` more bytes fit.
    fn evict_for(&self, size: usize) -> Result<MutexGuard<'_, ScopeEntries>, TlsError> {
        let mut entries = self.lock();
        while self.size() + size > SCOPE_SIZE {
            if entries.recent.is_empty() {
                return Err(TlsError::Refused(format!(
                    "the TLS settings in use here (roots, revocation lists and client certificates) would be {} \
                     bytes, and {SCOPE_SIZE} is the most: use one SSLContext for several connections, or close some \
                     first",
                    self.size() + size
                )));
            }
            entries.recent.remove(0);
        }
        Ok(entries)
    }

    fn lock(&self) -> MutexGuard<'_, ScopeEntries> {
        self.entries.lock()
    }
}

impl ScopeEntries {
    fn get(&mut self, digest: SettingsDigest) -> Option<Arc<ScopeConfig>> {
        if let Some(config) = find(&mut self.recent, digest) {
            return Some(config);
        }
        let config = self.in_use.get(&digest)?.upgrade()?;
        self.push_recent(digest, &config);
        Some(config)
    }

    fn insert(&mut self, digest: SettingsDigest, config: &Arc<ScopeConfig>) {
        self.in_use.retain(|_, config| config.strong_count() > 0);
        self.in_use.insert(digest, Arc::downgrade(config));
        self.push_recent(digest, config);
    }

    fn push_recent(&mut self, digest: SettingsDigest, config: &Arc<ScopeConfig>) {
        if self.recent.len() >= SCOPE_CONFIGS {
            self.recent.remove(0);
        }
        self.recent.push((digest, Arc::clone(config)));
    }
}

impl fmt::Debug for ScopeConfig {
    /// Omits the configuration, which may have a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeConfig")
            .field("size", &self.config.size)
            .finish_non_exhaustive()
    }
}
