use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::configs::{Config, ConfigCache, HeldConfig, HeldConfigs};
use crate::engine::Engine;
use crate::suites;
use crate::verifier::{Check, Verifier};
use crate::wanted::Wanted;
use crate::{
    ClientSettings, Effort, Handshake, Identity, Session, SessionCache, SettingsDigest, TlsError,
    TrustStore,
};

/// Begins handshakes under one trust decision. Cheap to clone; clones share everything.
///
/// Handshakes with equal settings share one configuration, and so resume each other's sessions
/// ([RFC 8446, 2.2](https://www.rfc-editor.org/rfc/rfc8446#section-2.2)). What is shared is bounded, whatever settings and
/// servers come along: configurations of 1 MiB, and the sessions of a [`SessionCache`]. A [scope](Self::scoped) has
/// sessions of its own.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
}

/// What all scopes share.
struct Shared {
    trust: TrustStore,
    allow_unverified: bool,
    provider: Arc<CryptoProvider>,
    configs: ConfigCache,
}

/// What those share who may know of each other.
struct Scope {
    sessions: SessionCache,
    configs: HeldConfigs,
}

impl Connector {
    /// A connector that verifies peers against `trust`.
    ///
    /// With `allow_unverified` the settings decide instead: they may turn verification off, and the roots they
    /// carry, if any, replace `trust`.
    pub fn new(trust: TrustStore, allow_unverified: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                trust,
                allow_unverified,
                provider: Arc::new(aws_lc_rs::default_provider()),
                configs: ConfigCache::default(),
            }),
            scope: Arc::new(Scope {
                sessions: SessionCache::new(),
                configs: HeldConfigs::default(),
            }),
        }
    }

    /// Returns a connector for one sandbox, or whoever else is to be kept apart: it shares trust and ready configurations
    /// with this one, but resumes only the sessions in `sessions`, and holds settings of 6 MiB at most, those of its open
    /// connections included. A client's private key is kept no longer than the scope.
    #[must_use]
    pub fn scoped(&self, sessions: SessionCache) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            scope: Arc::new(Scope {
                sessions,
                configs: HeldConfigs::default(),
            }),
        }
    }

    /// The sessions that handshakes of this connector may resume.
    #[must_use]
    pub fn sessions(&self) -> &SessionCache {
        &self.scope.sessions
    }

    /// Returns about how many bytes of settings this scope holds.
    #[must_use]
    pub fn settings_size(&self) -> usize {
        self.scope.configs.size()
    }

    /// Whom this connector trusts.
    pub fn trust(&self) -> &TrustStore {
        &self.shared.trust
    }

    /// Whether settings may turn verification off and bring their own roots.
    pub fn allows_unverified(&self) -> bool {
        self.shared.allow_unverified
    }

    /// Turns `io` into TLS. The handshake goes on when the returned future is polled.
    ///
    /// # Errors
    ///
    /// Those of [`prepare`](Self::prepare). `io` is dropped then; prepare first to keep it.
    pub fn upgrade<S>(&self, settings: &ClientSettings, io: S) -> Result<Handshake<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Ok(self.prepare(settings)?.upgrade(io))
    }

    /// Begins TLS over a transport that somebody else carries.
    ///
    /// # Errors
    ///
    /// Those of [`prepare`](Self::prepare).
    pub fn session(&self, settings: &ClientSettings) -> Result<Session, TlsError> {
        Ok(self.prepare(settings)?.session())
    }

    /// Judges `settings` without touching a transport.
    ///
    /// # Errors
    ///
    /// [`TlsError::Refused`] when the settings are malformed, beyond a [limit](crate::limits), contradictory,
    /// or not permitted here.
    pub fn prepare(&self, settings: &ClientSettings) -> Result<Prepared, TlsError> {
        let wanted = self.shared.wanted(settings)?;
        let name = settings.parsed_name()?;
        let digest = SettingsDigest::of(&wanted);
        let config = self.config(&wanted, digest)?;
        // Sessions are filed under the server's name; without one, two servers would share them.
        let named = settings.server_name.is_some();
        let sessions = named.then(|| self.scope.sessions.for_connection(digest));
        Ok(Prepared {
            engine: Engine::new(config, sessions, name)?,
            digest,
        })
    }

    /// Returns what tells these settings from others, the server's name left out.
    ///
    /// # Errors
    ///
    /// [`TlsError::Refused`] as for [`prepare`](Self::prepare), which gives the same digest.
    pub fn digest(&self, settings: &ClientSettings) -> Result<SettingsDigest, TlsError> {
        Ok(SettingsDigest::of(&self.shared.wanted(settings)?))
    }

    fn config(
        &self,
        wanted: &Wanted<'_>,
        digest: SettingsDigest,
    ) -> Result<Arc<HeldConfig>, TlsError> {
        self.scope.configs.get_or_make(digest, wanted.size(), || {
            if let Some(ready) = self.shared.configs.get(digest) {
                return Ok(ready);
            }
            let config = Arc::new(Config {
                client: self.shared.build(wanted)?,
                size: wanted.size(),
                has_key: wanted.settings.identity.is_some(),
            });
            Ok(self.shared.configs.insert(digest, config))
        })
    }
}

impl Connector {
    /// Judges a certificate chain (in DER, the peer's own certificate first) as a handshake with these settings would at
    /// `now`, and says how much work the search for a path to an anchor took at most.
    ///
    /// That the peer has the certificate's key is not part of it. The errors are those of [`prepare`](Self::prepare), and
    /// [`TlsError::Certificate`] for a chain that is not accepted.
    pub fn judge_chain(
        &self,
        settings: &ClientSettings,
        chain: &[&[u8]],
        now: SystemTime,
    ) -> (Effort, Result<(), TlsError>) {
        let mut effort = Effort::default();
        let outcome = self.judge(settings, chain, now, &mut effort);
        (effort, outcome)
    }

    fn judge(
        &self,
        settings: &ClientSettings,
        chain: &[&[u8]],
        now: SystemTime,
        effort: &mut Effort,
    ) -> Result<(), TlsError> {
        let wanted = self.shared.wanted(settings)?;
        let name = settings.parsed_name()?;
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since.unwrap_or_default());
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(TlsError::from_rustls(
                rustls::Error::NoCertificatesPresented,
            ));
        };
        self.shared
            .verifier(&wanted)?
            .verify(leaf, intermediates, &name, now, effort)
            .map_err(TlsError::from_rustls)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("trust", &self.shared.trust)
            .field("allow_unverified", &self.shared.allow_unverified)
            .finish_non_exhaustive()
    }
}

/// Settings that passed, ready for a transport.
#[derive(Debug)]
pub struct Prepared {
    engine: Engine,
    digest: SettingsDigest,
}

impl Prepared {
    /// What tells the settings from others, the server's name left out.
    pub fn digest(&self) -> SettingsDigest {
        self.digest
    }

    /// Turns `io` into TLS.
    pub fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(self, io: S) -> Handshake<S> {
        Handshake::new(self.engine, io)
    }

    /// TLS over a transport that somebody else carries.
    pub fn session(self) -> Session {
        Session::new(self.engine)
    }
}

impl Shared {
    /// How much of the peer's certificate these settings look at, if they may.
    fn check(&self, settings: &ClientSettings) -> Result<Check, TlsError> {
        let off = match (settings.verify_peer, settings.check_hostname) {
            (true, true) if settings.server_name.is_some() => return Ok(Check::ChainAndName),
            (true, true) => {
                return Err(TlsError::Refused(
                    "check_hostname needs a server name to compare the certificate with: give \
                     server_hostname"
                        .into(),
                ));
            }
            // Some programs turn this off to compare the name themselves after the handshake. They lose nothing when
            // it has been compared already.
            (true, false) if settings.server_name.is_some() && !self.allow_unverified => {
                return Ok(Check::ChainAndName);
            }
            (true, false) => ("the peer's name (check_hostname is off)", Check::Chain),
            (false, _) => (
                "the peer's certificate (verify_mode is CERT_NONE)",
                Check::Nothing,
            ),
        };
        if !self.allow_unverified {
            return Err(TlsError::Refused(format!(
                "this sandbox does not permit TLS without verifying {}. Whom to trust is the embedder's \
                 decision: add the peer's CA with with_root_cert, or set allow_unverified_tls to permit this",
                off.0
            )));
        }
        Ok(off.1)
    }

    /// Holds settings to their bounds, and leaves out what decides nothing here.
    fn wanted<'a>(&self, settings: &'a ClientSettings) -> Result<Wanted<'a>, TlsError> {
        settings.check_bounds()?;
        let check = self.check(settings)?;
        Ok(Wanted::new(settings, check, self.allow_unverified))
    }

    fn build(&self, wanted: &Wanted<'_>) -> Result<ClientConfig, TlsError> {
        let settings = wanted.settings;
        let provider = suites::restricted(&self.provider, &settings.ciphers, &settings.groups)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&wanted.versions())
            .map_err(|_| suites::none_left("cipher suite", "the protocol versions"))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(wanted)?);
        let mut config = match settings.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(certified(identity)?)),
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        // Every connection gets those of its scope.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn verifier(&self, wanted: &Wanted<'_>) -> Result<Arc<Verifier>, TlsError> {
        Ok(Verifier::new(
            wanted.check,
            self.trust_for(wanted)?,
            wanted.demands(),
            self.provider.signature_verification_algorithms,
        ))
    }

    fn trust_for(&self, wanted: &Wanted<'_>) -> Result<TrustStore, TlsError> {
        let roots = wanted.roots();
        if roots.is_empty() {
            return Ok(self.trust.clone());
        }
        let roots = roots.iter().map(|der| CertificateDer::from(der.clone()));
        TrustStore::empty()
            .with_certificates(roots.collect())
            .map_err(|error| TlsError::Refused(format!("a root given in DER: {error}")))
    }
}

/// The client's chain and its key, which is borrowed until it is one of the cryptography library's own: that one is
/// overwritten when it is dropped.
fn certified(identity: &Identity) -> Result<SingleCertAndKey, TlsError> {
    let key = PrivateKeyDer::try_from(identity.key.as_slice()).map_err(|_| {
        TlsError::Refused(
            "the client's private key is not a key in DER: wanted PKCS#8, PKCS#1 or SEC1, not encrypted"
                .into(),
        )
    })?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(identity_refused)?;
    let chain = identity.chain.iter().cloned().map(CertificateDer::from);
    let certified = CertifiedKey::new(chain.collect(), key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(certified.into())
        }
        Err(error) => Err(identity_refused(error)),
    }
}

/// Whatever rustls dislikes about an identity, it is the settings that have to change.
fn identity_refused(error: rustls::Error) -> TlsError {
    match TlsError::from_rustls(error) {
        refused @ TlsError::Refused(_) => refused,
        other => TlsError::Refused(format!(
            "the client's certificate and key cannot be used: {other}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ServerConfig, ServerConnection};
    use rustls_pki_types::PrivateKeyDer;

    use super::{Config, Connector};
    use crate::configs::CONFIGS;
    use crate::{ClientSettings, SessionCache, SettingsDigest, TrustStore};

    fn config(connector: &Connector, settings: &ClientSettings) -> Arc<Config> {
        let wanted = connector.shared.wanted(settings).expect("plain settings");
        let held = connector.config(&wanted, SettingsDigest::of(&wanted));
        Arc::clone(held.expect("plain settings").shared())
    }

    fn speaking(protocol: usize) -> ClientSettings {
        ClientSettings {
            alpn: vec![protocol.to_string().into_bytes()],
            ..ClientSettings::for_name("a.example")
        }
    }

    #[test]
    fn equal_settings_share_one_configuration_whatever_the_name() {
        let connector = Connector::new(TrustStore::webpki(), false);
        let first = config(&connector, &ClientSettings::for_name("a.example"));
        let second = config(&connector.clone(), &ClientSettings::for_name("b.example"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &config(&connector, &speaking(0))));
    }

    #[test]
    fn no_number_of_distinct_settings_makes_the_cache_grow_and_those_in_use_stay() {
        let connector = Connector::new(TrustStore::empty(), false);
        let kept = config(&connector, &speaking(0));
        for protocol in 1..CONFIGS * 3 {
            config(&connector, &speaking(protocol));
            assert!(Arc::ptr_eq(&kept, &config(&connector, &speaking(0))));
        }
        assert_eq!(connector.shared.configs.len(), CONFIGS);
    }

    #[test]
    fn what_is_kept_ready_is_bounded_in_bytes_and_holds_no_private_key() {
        let connector = Connector::new(TrustStore::empty(), false);
        let before = connector.shared.configs.size();
        for number in 0..20 {
            // Of a sandbox of its own each, so that what is kept is not the sandbox's.
            let scope = connector.scoped(SessionCache::new());
            let list = vec![number; 100_000];
            let settings = ClientSettings {
                revocation: Some(crate::Revocation::Leaf),
                revocation_lists: vec![list].into(),
                ..ClientSettings::for_name("a.example")
            };
            config(&scope, &settings);
            assert!(connector.shared.configs.size() <= 1 << 20);
        }
        assert!(connector.shared.configs.size() > before);

        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("a name");
        let identity = crate::Identity {
            chain: vec![params.self_signed(&key).expect("signed").der().to_vec()],
            key: key.serialize_der(),
        };
        let ready = connector.shared.configs.len();
        let settings = ClientSettings {
            identity: Some(identity.into()),
            ..ClientSettings::for_name("a.example")
        };
        let scope = connector.scoped(SessionCache::new());
        let held = Arc::downgrade(&config(&scope, &settings));
        assert_eq!(connector.shared.configs.len(), ready);
        assert!(held.upgrade().is_some(), "kept while the sandbox lives");
        drop(scope);
        assert!(held.upgrade().is_none());
    }

    #[test]
    fn a_scope_holds_a_bounded_number_of_bytes_and_gives_them_back() {
        let connector = Connector::new(TrustStore::empty(), false);
        let settings = |number| ClientSettings {
            revocation: Some(crate::Revocation::Leaf),
            revocation_lists: vec![vec![number; 1 << 20]].into(),
            ..ClientSettings::for_name("a.example")
        };
        let scope = connector.scoped(SessionCache::new());
        let mut sessions = Vec::new();
        let refused = (0..100).find_map(|number| match scope.session(&settings(number)) {
            Ok(session) => {
                sessions.push(session);
                None
            }
            Err(error) => Some(error.to_string()),
        });
        let refused = refused.expect("a bound");
        assert!(refused.contains("use one SSLContext"), "{refused}");
        assert_eq!(sessions.len(), 5);
        assert!(scope.settings_size() <= 6 << 20);
        // Equal settings are there once.
        for _ in 0..20 {
            sessions.push(scope.session(&settings(0)).expect("the same"));
        }
        sessions.clear();
        assert!(
            scope.session(&settings(100)).is_ok(),
            "unused ones make room"
        );
        drop(scope);
        let other = connector.scoped(SessionCache::new());
        assert_eq!(other.settings_size(), 0);
    }

    #[test]
    fn a_server_that_hands_out_many_tickets_fills_nothing() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("a name");
        let cert = params.self_signed(&key).expect("a certificate");
        let trust = TrustStore::empty()
            .with_root_cert(cert.der())
            .expect("a root");
        let connector = Connector::new(trust, false);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut server = ServerConfig::builder_with_provider(connector.shared.provider.clone())
            .with_safe_default_protocol_versions()
            .and_then(|server| {
                let server = server.with_no_client_auth();
                server.with_single_cert(vec![cert.der().clone()], key)
            })
            .expect("a server");
        server.send_tls13_tickets = 50;
        let mut server = ServerConnection::new(Arc::new(server)).expect("a connection");
        let settings = ClientSettings::for_name("a.example");
        let mut session = connector.session(&settings).expect("a session");
        for _ in 0..3 {
            let mut ciphertext = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut ciphertext).expect("memory takes all");
            }
            assert_eq!(session.feed(&ciphertext).ok(), Some(ciphertext.len()));
            let taken = session.take(usize::MAX);
            server
                .read_tls(&mut taken.as_slice())
                .expect("memory gives all");
            server.process_new_packets().expect("both speak TLS");
        }
        assert!(session.handshake().is_ready());
        assert_eq!(connector.sessions().tickets(), crate::resumption::TICKETS);
    }

    #[test]
    fn connectors_share_nothing() {
        let one = Connector::new(TrustStore::empty(), false);
        let two = Connector::new(TrustStore::empty(), false);
        let (one, two) = (config(&one, &speaking(0)), config(&two, &speaking(0)));
        assert!(!Arc::ptr_eq(&one, &two));
    }
}
