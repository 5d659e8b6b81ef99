//! Configurations of rustls: those kept ready for all, and those that one sandbox uses.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustls::ClientConfig;
use rustls::client::Resumption;

use crate::TlsError;
use crate::digest::SettingsDigest;
use crate::resumption::ConnectionSessions;

/// Distinct settings whose configuration is kept ready.
pub(crate) const CONFIGS: usize = 32;
/// Bytes of all configurations that are kept ready. One with the usual public roots, given by the program, has 400 KiB.
const CONFIGS_SIZE: usize = 1024 * 1024;

/// Configurations that one scope has used last and keeps.
const KEPT: usize = 8;
/// Bytes of all configurations that one scope keeps or uses: the largest there can be, and two with the usual public
/// roots.
const HELD_SIZE: usize = 6 * 1024 * 1024;

/// A configuration without sessions to resume, and about how many bytes it takes.
pub(crate) struct Config {
    pub(crate) client: ClientConfig,
    pub(crate) size: usize,
    /// Whether it holds a client's private key.
    pub(crate) has_key: bool,
}

/// Configurations kept ready, whoever uses them: [`CONFIGS`] of them, of [`CONFIGS_SIZE`] bytes. A private key that a
/// program brought is never among them.
#[derive(Default)]
pub(crate) struct ConfigCache {
    /// The most recently used last.
    ready: Mutex<Vec<(SettingsDigest, Arc<Config>)>>,
}

impl ConfigCache {
    pub(crate) fn get(&self, wanted: SettingsDigest) -> Option<Arc<Config>> {
        find(&mut self.lock(), wanted)
    }

    /// Files `config`, unless another thread was faster: then theirs is the one to share.
    pub(crate) fn insert(&self, digest: SettingsDigest, config: Arc<Config>) -> Arc<Config> {
        if config.has_key || config.size > CONFIGS_SIZE {
            return config;
        }
        let mut ready = self.lock();
        if let Some(theirs) = find(&mut ready, digest) {
            return theirs;
        }
        ready.push((digest, Arc::clone(&config)));
        while ready.len() > CONFIGS || size(&ready) > CONFIGS_SIZE {
            ready.remove(0);
        }
        config
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        size(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(SettingsDigest, Arc<Config>)>> {
        // Each operation leaves the list whole, so a panic elsewhere does not spoil it.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<T>(ready: &mut [(SettingsDigest, Arc<T>)], wanted: SettingsDigest) -> Option<Arc<T>> {
    let position = ready.iter().position(|(digest, _)| *digest == wanted)?;
    ready[position..].rotate_left(1);
    ready.last().map(|(_, config)| Arc::clone(config))
}

fn size(ready: &[(SettingsDigest, Arc<Config>)]) -> usize {
    ready.iter().map(|(_, config)| config.size).sum()
}

/// The configurations of one scope, a sandbox for one: of [`HELD_SIZE`] bytes together, those in use included.
#[derive(Default)]
pub(crate) struct HeldConfigs {
    held: Mutex<Held>,
    size: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Held {
    /// The most recently used last.
    kept: Vec<(SettingsDigest, Arc<HeldConfig>)>,
    /// Those in use, and perhaps some that were.
    used: HashMap<SettingsDigest, Weak<HeldConfig>>,
}

/// A configuration that counts against its scope for as long as anything uses it.
pub(crate) struct HeldConfig {
    config: Arc<Config>,
    charged: Arc<AtomicUsize>,
}

impl HeldConfig {
    /// The configuration for one connection, which is cheap to make.
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

impl Drop for HeldConfig {
    fn drop(&mut self) {
        self.charged.fetch_sub(self.config.size, Ordering::AcqRel);
    }
}

impl HeldConfigs {
    /// Returns the configuration for `digest`, made with `make` unless there is one.
    ///
    /// # Errors
    ///
    /// Those of `make`; [`TlsError::Refused`] where one of `size` bytes is more than the scope may hold.
    pub(crate) fn get_or_make(
        &self,
        digest: SettingsDigest,
        size: usize,
        make: impl FnOnce() -> Result<Arc<Config>, TlsError>,
    ) -> Result<Arc<HeldConfig>, TlsError> {
        if let Some(held) = self.lock().get(digest) {
            return Ok(held);
        }
        // Before the work, and again after it: others may have been there meanwhile.
        drop(self.make_room(size)?);
        // Made outside the lock: parsing a bundle of roots must not hold up other connections.
        let config = make()?;
        let mut held = self.make_room(config.size)?;
        if let Some(theirs) = held.get(digest) {
            return Ok(theirs);
        }
        self.size.fetch_add(config.size, Ordering::AcqRel);
        let made = Arc::new(HeldConfig {
            config,
            charged: Arc::clone(&self.size),
        });
        held.insert(digest, &made);
        Ok(made)
    }

    /// Returns about how many bytes are held.
    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    fn make_room(&self, size: usize) -> Result<MutexGuard<'_, Held>, TlsError> {
        let mut held = self.lock();
        while self.size() + size > HELD_SIZE {
            if held.kept.is_empty() {
                return Err(TlsError::Refused(format!(
                    "the TLS settings in use here (roots, revocation lists and client certificates) would be {} \
                     bytes, and {HELD_SIZE} is the most: use one SSLContext for several connections, or close some \
                     first",
                    self.size() + size
                )));
            }
            held.kept.remove(0);
        }
        Ok(held)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Each operation leaves the lists whole, so a panic elsewhere does not spoil them.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn get(&mut self, wanted: SettingsDigest) -> Option<Arc<HeldConfig>> {
        if let Some(kept) = find(&mut self.kept, wanted) {
            return Some(kept);
        }
        let used = self.used.get(&wanted)?.upgrade()?;
        self.keep(wanted, &used);
        Some(used)
    }

    fn insert(&mut self, digest: SettingsDigest, config: &Arc<HeldConfig>) {
        self.used.retain(|_, config| config.strong_count() > 0);
        self.used.insert(digest, Arc::downgrade(config));
        self.keep(digest, config);
    }

    fn keep(&mut self, digest: SettingsDigest, config: &Arc<HeldConfig>) {
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push((digest, Arc::clone(config)));
    }
}

impl fmt::Debug for HeldConfig {
    /// Leaves the configuration out: it may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldConfig")
            .field("size", &self.config.size)
            .finish_non_exhaustive()
    }
}
