//! The entry point: starts handshakes with one trust store.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::config_builder::ConfigBuilder;
use crate::config_cache::{Config, ConfigCache, ScopeConfig, ScopeConfigs};
use crate::digest::SettingsDigest;
use crate::effective_settings::EffectiveSettings;
use crate::engine::Engine;
use crate::error::TlsError;
use crate::handshake::Handshake;
use crate::path_search::PathSearchCost;
use crate::session::Session;
use crate::session_cache::SessionCache;
use crate::settings::ClientSettings;
use crate::trust::TrustStore;

/// Starts handshakes with one trust store. Cheap to clone; clones share everything.
///
/// Handshakes with equal settings share one configuration, and therefore resume each other's
/// sessions ([RFC 8446, 2.2](https://www.rfc-editor.org/rfc/rfc8446#section-2.2)). The shared
/// memory is bounded for all settings and servers: 1 MiB of configurations, and the sessions of a
/// [`SessionCache`]. A [scope](Self::scoped) has its own sessions.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
}

/// The state that all scopes share.
struct Shared {
    builder: ConfigBuilder,
    configs: ConfigCache,
}

/// The state of one scope, whose handshakes may be linked to each other.
struct Scope {
    sessions: SessionCache,
    configs: ScopeConfigs,
}

impl Connector {
    /// Returns a connector that verifies peers against `trust`.
    ///
    /// With `allow_unverified` the settings decide: they may turn verification off, and their
    /// roots, if any, replace `trust`.
    pub fn new(trust: TrustStore, allow_unverified: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                builder: ConfigBuilder::new(trust, allow_unverified),
                configs: ConfigCache::default(),
            }),
            scope: Arc::new(Scope {
                sessions: SessionCache::new(),
                configs: ScopeConfigs::default(),
            }),
        }
    }

    /// Returns a connector for one sandbox, or for another scope that must be isolated.
    ///
    /// It shares the trust store and the configurations with this one, but resumes only the
    /// sessions in `sessions`. It holds at most 6 MiB of settings, including those of its open
    /// connections, and drops a client's private key with the scope at the latest.
    #[must_use]
    pub fn scoped(&self, sessions: SessionCache) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            scope: Arc::new(Scope {
                sessions,
                configs: ScopeConfigs::default(),
            }),
        }
    }

    /// Returns the sessions that handshakes of this connector may resume.
    #[must_use]
    pub fn sessions(&self) -> &SessionCache {
        &self.scope.sessions
    }

    /// Returns the approximate size of the settings that this scope holds, in bytes.
    #[cfg(test)]
    pub(crate) fn settings_size(&self) -> usize {
        self.scope.configs.size()
    }

    /// Returns the trust store.
    pub fn trust(&self) -> &TrustStore {
        self.shared.builder.trust()
    }

    /// Returns whether settings may turn verification off and bring their own roots.
    pub fn allows_unverified(&self) -> bool {
        self.shared.builder.allows_unverified()
    }

    /// Starts a TLS handshake over `io`. The handshake proceeds while the returned future is
    /// polled.
    ///
    /// # Errors
    ///
    /// Those of [`prepare`](Self::prepare). `io` is dropped on an error; call `prepare` first to
    /// keep it.
    #[doc(alias = "connect")]
    pub fn upgrade<S>(&self, settings: &ClientSettings, io: S) -> Result<Handshake<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Ok(self.prepare(settings)?.upgrade(io))
    }

    /// Starts a TLS session without a transport: the caller transfers the ciphertext.
    ///
    /// # Errors
    ///
    /// Those of [`prepare`](Self::prepare).
    pub fn session(&self, settings: &ClientSettings) -> Result<Session, TlsError> {
        Ok(self.prepare(settings)?.session())
    }

    /// Checks `settings`, and prepares a handshake without a transport.
    ///
    /// # Errors
    ///
    /// [`TlsError::Refused`] when the settings are malformed, beyond a [limit](crate::limits),
    /// contradictory, or not permitted here.
    pub fn prepare(&self, settings: &ClientSettings) -> Result<Prepared, TlsError> {
        let effective = self.shared.builder.effective_settings(settings)?;
        let name = settings.parsed_name()?;
        let digest = SettingsDigest::new(&effective);
        let config = self.config(&effective, digest)?;
        // The server's name is the key of the sessions. Without a name, two servers would share
        // sessions.
        let has_server_name = settings.server_name.is_some();
        let sessions = has_server_name.then(|| self.scope.sessions.for_connection(digest));
        Ok(Prepared {
            engine: Engine::new(config, sessions, name)?,
            digest,
        })
    }

    /// Returns the digest of the settings, without the server's name.
    ///
    /// # Errors
    ///
    /// [`TlsError::Refused`] as for [`prepare`](Self::prepare), which returns the same digest.
    pub fn digest(&self, settings: &ClientSettings) -> Result<SettingsDigest, TlsError> {
        let effective = self.shared.builder.effective_settings(settings)?;
        Ok(SettingsDigest::new(&effective))
    }

    /// Verifies a certificate chain (in DER, the peer's own certificate first) as a handshake with
    /// these settings would at `now`, and returns the cost of the search for a path to an anchor.
    ///
    /// Does not verify that the peer has the certificate's key. The errors are those of
    /// [`prepare`](Self::prepare), and [`TlsError::Certificate`] for a chain that is not accepted.
    pub fn verify_chain(
        &self,
        settings: &ClientSettings,
        chain: &[&[u8]],
        now: SystemTime,
    ) -> (PathSearchCost, Result<(), TlsError>) {
        let mut cost = PathSearchCost::default();
        let outcome = self.verify_chain_with(settings, chain, now, &mut cost);
        (cost, outcome)
    }

    fn verify_chain_with(
        &self,
        settings: &ClientSettings,
        chain: &[&[u8]],
        now: SystemTime,
        cost: &mut PathSearchCost,
    ) -> Result<(), TlsError> {
        let effective = self.shared.builder.effective_settings(settings)?;
        let name = settings.parsed_name()?;
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since_epoch.unwrap_or_default());
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(TlsError::from_rustls(
                rustls::Error::NoCertificatesPresented,
            ));
        };
        self.shared
            .builder
            .verifier(&effective)?
            .verify(leaf, intermediates, &name, now, cost)
            .map_err(TlsError::from_rustls)
    }

    fn config(
        &self,
        settings: &EffectiveSettings<'_>,
        digest: SettingsDigest,
    ) -> Result<Arc<ScopeConfig>, TlsError> {
        let build = || {
            if let Some(config) = self.shared.configs.get(digest) {
                return Ok(config);
            }
            let config = Arc::new(Config {
                client: self.shared.builder.build(settings)?,
                size: settings.size(),
                has_key: settings.settings.identity.is_some(),
            });
            Ok(self.shared.configs.insert(digest, config))
        };
        self.scope
            .configs
            .get_or_build(digest, settings.size(), build)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("trust", self.trust())
            .field("allow_unverified", &self.allows_unverified())
            .finish_non_exhaustive()
    }
}

/// A handshake with checked settings, which needs a transport.
#[derive(Debug)]
pub struct Prepared {
    engine: Engine,
    digest: SettingsDigest,
}

impl Prepared {
    /// Returns the digest of the settings, without the server's name.
    pub fn digest(&self) -> SettingsDigest {
        self.digest
    }

    /// Starts the handshake over `io`.
    #[doc(alias = "connect")]
    pub fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(self, io: S) -> Handshake<S> {
        Handshake::new(self.engine, io)
    }

    /// Starts the handshake without a transport: the caller transfers the ciphertext.
    pub fn session(self) -> Session {
        Session::new(self.engine)
    }
}
