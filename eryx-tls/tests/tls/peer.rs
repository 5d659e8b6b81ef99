//! The peers of the tests: a certificate authority, and rustls servers with its certificates.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eryx_tls::{ClientSettings, Connector, Identity, TlsError, TlsStream, TrustStore};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::DuplexStream;
use tokio_rustls::TlsAcceptor;

pub(crate) const HOST: &str = "server.example";

/// A certificate authority.
pub(crate) struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) cert: CertificateDer<'static>,
    pub(crate) pem: String,
}

impl CertificateAuthority {
    pub(crate) fn new() -> Self {
        Self::with(vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign])
    }

    /// Creates a CA whose certificate has no key usage.
    pub(crate) fn without_key_usage() -> Self {
        Self::with(Vec::new())
    }

    /// Creates an intermediate CA with a certificate of this one.
    pub(crate) fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(vec![KeyUsagePurpose::KeyCertSign]);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Self {
            cert: cert.der().clone(),
            pem: cert.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn with(key_usages: Vec<KeyUsagePurpose>) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(key_usages);
        let cert = params.self_signed(&key).unwrap();
        Self {
            cert: cert.der().clone(),
            pem: cert.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn trust(&self) -> TrustStore {
        TrustStore::empty().with_root_cert(&self.cert).unwrap()
    }

    pub(crate) fn connector(&self) -> Connector {
        Connector::new(self.trust(), false)
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Leaf {
        self.issue_with(names, |_| {})
    }

    /// Returns a revocation list in DER with these serial numbers.
    pub(crate) fn revocation_list(&self, revoked: &[u64], valid_until: i32) -> Vec<u8> {
        let long_ago = date_time_ymd(2000, 1, 1);
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: long_ago,
            reason_code: None,
            invalidity_date: None,
        });
        CertificateRevocationListParams {
            this_update: long_ago,
            next_update: date_time_ymd(valid_until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .unwrap()
        .der()
        .to_vec()
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: vec![cert.der().clone()],
            key,
        }
    }
}

/// A certificate with its key.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Leaf {
    pub(crate) fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        change(&mut params);
        Self {
            chain: vec![params.self_signed(&key).unwrap().der().clone()],
            key,
        }
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            chain: self.chain.iter().map(|cert| cert.to_vec()).collect(),
            key: self.key.serialize_der(),
        }
    }

    pub(crate) fn server(&self) -> ServerConfig {
        self.server_with(rustls::DEFAULT_VERSIONS)
    }

    pub(crate) fn server_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key_der())
            .unwrap()
    }

    /// Returns a server that requests client certificates of `authority`.
    pub(crate) fn server_with_client_auth(
        &self,
        authority: &CertificateAuthority,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(authority.cert.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key_der())
            .unwrap()
    }
}

fn authority_params(key_usages: Vec<KeyUsagePurpose>) -> CertificateParams {
    let mut params = params(&[]);
    // CAs with the same name and different keys are tested separately.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = key_usages;
    params
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "eryx test");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

pub(crate) type Client = TlsStream<DuplexStream>;
pub(crate) type Server = tokio_rustls::server::TlsStream<DuplexStream>;

/// Runs both sides of a handshake through a pipe of `size` bytes in each direction.
pub(crate) async fn run_handshake(
    connector: &Connector,
    settings: &ClientSettings,
    server: impl Into<Arc<ServerConfig>>,
    size: usize,
) -> (Result<Client, TlsError>, std::io::Result<Server>) {
    let (near, far) = tokio::io::duplex(size);
    let handshake = connector.upgrade(settings, near).unwrap();
    let acceptor = TlsAcceptor::from(server.into());
    within_timeout(async { tokio::join!(handshake, acceptor.accept(far)) }).await
}

/// Returns a client and a server after their handshake.
pub(crate) async fn established_pair(size: usize) -> (Client, Server) {
    let authority = CertificateAuthority::new();
    let server = authority.issue(&[HOST]).server();
    let settings = ClientSettings::for_name(HOST);
    let (client, server) = run_handshake(&authority.connector(), &settings, server, size).await;
    (client.unwrap(), server.unwrap())
}

/// Returns the error of a handshake with `server` and `settings`.
pub(crate) async fn handshake_error(
    connector: &Connector,
    settings: &ClientSettings,
    server: ServerConfig,
) -> TlsError {
    run_handshake(connector, settings, server, 64 * 1024)
        .await
        .0
        .map(|stream| stream.info().clone())
        .expect_err("the handshake must fail")
}

/// Panics if `future` takes more than 60 s.
pub(crate) async fn within_timeout<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("the operation must not hang")
}
