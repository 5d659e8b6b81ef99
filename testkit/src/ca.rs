//! A private certificate authority, and the certificates it issues.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A private certificate authority.
///
/// ```
/// use eryx_testkit::{CertificateAuthority, Leaf};
///
/// let ca = CertificateAuthority::new()?;
/// let identity = ca.issue(&Leaf::server(["db.example", "127.0.0.1"]))?;
/// assert!(ca.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// assert_eq!(identity.chain().len(), 1);
/// # std::io::Result::Ok(())
/// ```
pub struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    /// The certificates between a leaf and the root.
    intermediates: Vec<Certificate>,
}

impl CertificateAuthority {
    /// Creates a root CA with a name that is unique in this process.
    ///
    /// # Errors
    ///
    /// If no key can be generated.
    pub fn new() -> io::Result<Self> {
        Self::named(&unique_name("Eryx Test Root"))
    }

    /// Creates a root CA with the common name `name`. If two roots have the same name, a client
    /// that trusts one of them reports a bad signature for the other, instead of an unknown issuer.
    ///
    /// # Errors
    ///
    /// If no key can be generated.
    pub fn named(name: &str) -> io::Result<Self> {
        let issuer =
            CertifiedIssuer::self_signed(ca_params(name)?, new_key()?).map_err(io::Error::other)?;
        let root = issuer.der().clone();
        Ok(Self {
            issuer,
            root,
            intermediates: Vec::new(),
        })
    }

    /// Creates an intermediate CA below this one. The identities it issues contain the whole chain
    /// except the root.
    ///
    /// # Errors
    ///
    /// If no key can be generated.
    pub fn intermediate(&self) -> io::Result<Self> {
        let params = ca_params(&unique_name("Eryx Test Intermediate"))?;
        let issuer = CertifiedIssuer::signed_by(params, new_key()?, &self.issuer)
            .map_err(io::Error::other)?;
        let mut intermediates = vec![issuer.as_ref().clone()];
        intermediates.extend(self.intermediates.iter().cloned());
        Ok(Self {
            issuer,
            root: self.root.clone(),
            intermediates,
        })
    }

    /// Returns the certificate of this CA as PEM, for the client under test to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Returns the certificate of this CA as DER.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Issues a certificate.
    ///
    /// # Errors
    ///
    /// If a name of `leaf` is not valid in a certificate.
    pub fn issue(&self, leaf: &Leaf) -> io::Result<Identity> {
        let key = new_key()?;
        let certificate = leaf
            .params()?
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        let chain = std::iter::once(&certificate).chain(&self.intermediates);
        Ok(Identity::new(chain, &key))
    }

    /// Returns the configuration of a rustls client that trusts only the root of this CA.
    ///
    /// # Errors
    ///
    /// If rustls rejects the root.
    pub fn client_config(&self) -> io::Result<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root.clone()).map_err(io::Error::other)?;
        Ok(
            rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_root_certificates(roots)
                .with_no_client_auth(),
        )
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority")
            .field("intermediates", &self.intermediates.len())
            .finish()
    }
}

/// A request for a certificate.
///
/// For a certificate with the wrong name, request another name.
#[derive(Clone, Debug)]
pub struct Leaf {
    names: Vec<String>,
    validity: Validity,
    usage: ExtendedKeyUsagePurpose,
}

impl Leaf {
    /// Requests a server certificate for `names`: host names, `*.` wildcards or IP addresses. All
    /// are subject alternative names, and the first is the common name as well.
    #[must_use]
    pub fn server<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            validity: Validity::Now,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    /// Requests a client certificate for `name`.
    #[must_use]
    pub fn client(name: &str) -> Self {
        Self {
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            ..Self::server([name])
        }
    }

    /// Makes the certificate valid only in 2001.
    #[must_use]
    pub fn expired(self) -> Self {
        Self {
            validity: Validity::Past,
            ..self
        }
    }

    /// Makes the certificate valid from 2048 on.
    #[must_use]
    pub fn not_yet_valid(self) -> Self {
        Self {
            validity: Validity::Future,
            ..self
        }
    }

    /// Creates a self-signed certificate.
    ///
    /// # Errors
    ///
    /// If a name is not valid in a certificate.
    pub fn self_signed(&self) -> io::Result<Identity> {
        let key = new_key()?;
        let certificate = self.params()?.self_signed(&key).map_err(io::Error::other)?;
        Ok(Identity::new([&certificate], &key))
    }

    fn params(&self) -> io::Result<CertificateParams> {
        let mut params = CertificateParams::new(self.names.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        params.distinguished_name = common_name(self.names.first().map_or("", String::as_str));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![self.usage.clone()];
        // Before 2050, so that both dates are UTCTime, which every parser supports (RFC 5280,
        // 4.1.2.5).
        let (from, until) = match self.validity {
            Validity::Past => (2001, 2002),
            Validity::Now => (2020, 2048),
            Validity::Future => (2048, 2049),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        Ok(params)
    }
}

#[derive(Clone, Copy, Debug)]
enum Validity {
    Past,
    Now,
    Future,
}

/// A certificate with its chain and its private key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: PrivateKeyDer<'static>,
    key_pem: String,
}

impl Identity {
    fn new<'a>(certificates: impl IntoIterator<Item = &'a Certificate>, key: &KeyPair) -> Self {
        let mut chain = Vec::new();
        let mut chain_pem = String::new();
        for certificate in certificates {
            chain.push(certificate.der().clone());
            chain_pem += &certificate.pem();
        }
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        Self {
            chain,
            chain_pem,
            key: der.into(),
            key_pem: key.serialize_pem(),
        }
    }

    /// Returns the certificates as DER, leaf first, without the root.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Returns the certificates as PEM, leaf first, without the root.
    #[must_use]
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// Returns the private key as DER (PKCS #8).
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// Returns the private key as PEM (PKCS #8).
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            chain_pem: self.chain_pem.clone(),
            key: self.key(),
            key_pem: self.key_pem.clone(),
        }
    }
}

fn ca_params(name: &str) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2048, 1, 1);
    Ok(params)
}

/// Appends a number that is unique in this process.
fn unique_name(name: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    format!("{name} {}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn new_key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn the_chain_reads_back_from_its_pem() {
        let ca = CertificateAuthority::new().unwrap().intermediate().unwrap();
        let identity = ca.issue(&Leaf::server(["a.example"])).unwrap();
        let read: Vec<_> = CertificateDer::pem_slice_iter(identity.chain_pem().as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(read, identity.chain());
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn a_key_round_trips_through_pem() {
        let identity = Leaf::server(["a.example"]).self_signed().unwrap();
        let read = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
        assert_eq!(read, identity.key());
    }

    #[test]
    fn a_root_is_the_same_certificate_as_pem_and_der() {
        let ca = CertificateAuthority::new().unwrap();
        assert_eq!(
            CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap(),
            ca.der()
        );
    }

    #[test]
    fn a_name_that_is_invalid_in_a_certificate_is_rejected() {
        let result = CertificateAuthority::new()
            .unwrap()
            .issue(&Leaf::server(["b\u{fc}cher.example"]));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
