use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::engine::Engine;
use crate::resumption::SessionCache;
use crate::suites;
use crate::verifier::{Check, Demands, Verifier};
use crate::{ClientSettings, Handshake, Identity, Session, TlsError, TrustStore, Version};

/// Distinct settings whose configuration is kept ready.
const CONFIGS: usize = 32;

/// Begins handshakes under one trust decision. Cheap to clone; clones share everything.
///
/// Handshakes with equal settings share one configuration, and so resume each other's sessions
/// ([RFC 8446, 2.2](https://www.rfc-editor.org/rfc/rfc8446#section-2.2)); what is shared is bounded, whatever
/// settings come along.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    trust: TrustStore,
    allow_unverified: bool,
    provider: Arc<CryptoProvider>,
    sessions: Arc<SessionCache>,
    configs: Mutex<Configs>,
}

/// The most recently used last.
#[derive(Default)]
struct Configs {
    ready: Vec<(ConfigKey, Arc<ClientConfig>)>,
    built: u64,
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
                sessions: Arc::default(),
                configs: Mutex::default(),
            }),
        }
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
        settings.check_bounds()?;
        let check = self.shared.check(settings)?;
        let name = settings.parsed_name()?;
        let config = self.shared.config(settings, check)?;
        Ok(Prepared {
            engine: Engine::new(config, name)?,
        })
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
}

impl Prepared {
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

    fn config(
        &self,
        settings: &ClientSettings,
        check: Check,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let wanted = ConfigKey::new(settings, check, self.allow_unverified);
        if let Some(config) = self.lock().get(&wanted) {
            return Ok(config);
        }
        let scope = self.lock().next_scope();
        // Built outside the lock: parsing a bundle of roots must not hold up other connections.
        let config = Arc::new(self.build(&wanted, scope)?);
        Ok(self.lock().insert(wanted, config))
    }

    fn build(&self, wanted: &ConfigKey, scope: u64) -> Result<ClientConfig, TlsError> {
        let trust = self.trust_for(wanted)?;
        let algorithms = self.provider.signature_verification_algorithms;
        let provider = suites::restricted(&self.provider, &wanted.ciphers, &wanted.groups)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&wanted.versions())
            .map_err(|_| suites::none_left("cipher suite", "the protocol versions"))?
            .dangerous()
            .with_custom_certificate_verifier(Verifier::new(
                wanted.check,
                trust,
                wanted.demands.clone(),
                algorithms,
            ));
        let mut config = match &wanted.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = parse_identity(identity)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(identity_refused)?
            }
        };
        config.alpn_protocols.clone_from(&wanted.alpn);
        config.resumption = if wanted.named {
            Resumption::store(self.sessions.scope(scope))
        } else {
            // Sessions are filed under the server's name; without one, two servers would share them.
            Resumption::disabled()
        };
        Ok(config)
    }

    fn trust_for(&self, wanted: &ConfigKey) -> Result<TrustStore, TlsError> {
        if wanted.roots.is_empty() {
            return Ok(self.trust.clone());
        }
        let roots = wanted.roots.iter();
        TrustStore::empty()
            .with_certificates(roots.map(|der| CertificateDer::from(der.clone())).collect())
            .map_err(|error| TlsError::Refused(format!("a root given in DER: {error}")))
    }

    fn lock(&self) -> MutexGuard<'_, Configs> {
        // Each operation leaves the list whole, so a panic elsewhere does not spoil it.
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Configs {
    fn get(&mut self, wanted: &ConfigKey) -> Option<Arc<ClientConfig>> {
        let position = self.ready.iter().position(|(key, _)| key == wanted)?;
        self.ready[position..].rotate_left(1);
        self.ready.last().map(|(_, config)| Arc::clone(config))
    }

    /// Files `config`, unless another thread was faster: then theirs is the one to share.
    fn insert(&mut self, key: ConfigKey, config: Arc<ClientConfig>) -> Arc<ClientConfig> {
        if let Some(theirs) = self.get(&key) {
            return theirs;
        }
        if self.ready.len() >= CONFIGS {
            self.ready.remove(0);
        }
        self.ready.push((key, Arc::clone(&config)));
        config
    }

    fn next_scope(&mut self) -> u64 {
        self.built += 1;
        self.built
    }
}

/// What two handshakes must have in common to share a configuration: everything but the server's name.
#[derive(PartialEq, Eq)]
struct ConfigKey {
    check: Check,
    named: bool,
    min_version: Option<Version>,
    max_version: Option<Version>,
    alpn: Vec<Vec<u8>>,
    ciphers: Vec<u16>,
    groups: Vec<u16>,
    identity: Option<Identity>,
    roots: Vec<Vec<u8>>,
    demands: Demands,
}

impl ConfigKey {
    fn new(settings: &ClientSettings, check: Check, roots_count: bool) -> Self {
        // Roots that decide nothing must not make settings distinct.
        let roots_count = roots_count && check != Check::Nothing;
        Self {
            check,
            named: settings.server_name.is_some(),
            min_version: settings.min_version,
            max_version: settings.max_version,
            alpn: settings.alpn.clone(),
            ciphers: settings.ciphers.clone(),
            groups: settings.groups.clone(),
            identity: settings.identity.clone(),
            roots: if roots_count {
                settings.roots.clone()
            } else {
                Vec::new()
            },
            demands: Demands {
                strict: settings.strict && roots_count && !settings.roots.is_empty(),
                revocation: settings.revocation,
                lists: if settings.revocation.is_some() {
                    settings.revocation_lists.clone()
                } else {
                    Vec::new()
                },
            },
        }
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let min = self.min_version.unwrap_or(Version::Tls12);
        let max = self.max_version.unwrap_or(Version::Tls13);
        [
            (Version::Tls13, &version::TLS13),
            (Version::Tls12, &version::TLS12),
        ]
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, supported)| supported)
        .collect()
    }
}

type IdentityParts = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn parse_identity(identity: &Identity) -> Result<IdentityParts, TlsError> {
    let key = PrivateKeyDer::try_from(identity.key.as_slice()).map_err(|_| {
        TlsError::Refused(
            "the client's private key is not a key in DER: wanted PKCS#8, PKCS#1 or SEC1, not encrypted"
                .into(),
        )
    })?;
    let chain = identity.chain.iter().cloned().map(CertificateDer::from);
    Ok((chain.collect(), key.clone_key()))
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

    use super::{CONFIGS, Check, Connector};
    use crate::{ClientSettings, TrustStore};

    fn config(connector: &Connector, settings: &ClientSettings) -> Arc<rustls::ClientConfig> {
        connector
            .shared
            .config(settings, Check::ChainAndName)
            .expect("plain settings")
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
        assert_eq!(connector.shared.lock().ready.len(), CONFIGS);
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
        assert_eq!(
            connector.shared.sessions.tickets(),
            crate::resumption::TICKETS
        );
    }

    #[test]
    fn connectors_share_nothing() {
        let one = Connector::new(TrustStore::empty(), false);
        let two = Connector::new(TrustStore::empty(), false);
        let (one, two) = (config(&one, &speaking(0)), config(&two, &speaking(0)));
        assert!(!Arc::ptr_eq(&one, &two));
    }
}
