//! A certificate authority that nobody trusts unless told to, and what it signs.

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
/// use eryx_testkit::{Authority, Leaf};
///
/// let authority = Authority::new()?;
/// let identity = authority.issue(&Leaf::server(["db.example", "127.0.0.1"]))?;
/// assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// assert_eq!(identity.chain().len(), 1);
/// # std::io::Result::Ok(())
/// ```
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    /// What a leaf must present besides itself for a client that knows only the root.
    intermediates: Vec<Certificate>,
}

impl Authority {
    /// A new root with its own key and a name of its own.
    ///
    /// # Errors
    ///
    /// When the cryptography library cannot make a key.
    pub fn new() -> io::Result<Self> {
        Self::named(&numbered("Eryx Test Root"))
    }

    /// A new root called `name`. Of two roots with the same name, a client that trusts one finds
    /// the other's signatures wrong, where it would otherwise find their issuer unknown.
    ///
    /// # Errors
    ///
    /// When the cryptography library cannot make a key.
    pub fn named(name: &str) -> io::Result<Self> {
        let issuer = CertifiedIssuer::self_signed(authority_params(name)?, new_key()?)
            .map_err(io::Error::other)?;
        let root = issuer.der().clone();
        Ok(Self {
            issuer,
            root,
            intermediates: Vec::new(),
        })
    }

    /// An authority below this one. What it issues presents the whole chain but the root.
    ///
    /// # Errors
    ///
    /// When the cryptography library cannot make a key.
    pub fn intermediate(&self) -> io::Result<Self> {
        let params = authority_params(&numbered("Eryx Test Intermediate"))?;
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

    /// This authority's own certificate as PEM: what a client under test is told to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// This authority's own certificate as DER.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Signs a leaf.
    ///
    /// # Errors
    ///
    /// When a name of `leaf` is not one a certificate can carry.
    pub fn issue(&self, leaf: &Leaf) -> io::Result<Identity> {
        let key = new_key()?;
        let certificate = leaf
            .params()?
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        let chain = std::iter::once(&certificate).chain(&self.intermediates);
        Ok(Identity::new(chain, &key))
    }

    /// A client that trusts the root above this authority and nothing else; for tests of the
    /// servers themselves, and to see what an ordinary client makes of a faulty peer.
    ///
    /// # Errors
    ///
    /// When the root is not acceptable to rustls.
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

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("intermediates", &self.intermediates.len())
            .finish()
    }
}

/// What a certificate is to say.
///
/// A certificate for the wrong name needs no option: issue it for another name.
#[derive(Clone, Debug)]
pub struct Leaf {
    names: Vec<String>,
    validity: Validity,
    usage: ExtendedKeyUsagePurpose,
}

impl Leaf {
    /// A server's certificate for `names`: host names, `*.` wildcards or IP addresses, all of
    /// them subject alternative names and the first also the common name.
    #[must_use]
    pub fn server<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            validity: Validity::Now,
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        }
    }

    /// A client's certificate for `name`.
    #[must_use]
    pub fn client(name: &str) -> Self {
        Self {
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            ..Self::server([name])
        }
    }

    /// Valid during 2001 only.
    #[must_use]
    pub fn expired(self) -> Self {
        Self {
            validity: Validity::Past,
            ..self
        }
    }

    /// Valid from 2048 on.
    #[must_use]
    pub fn not_yet_valid(self) -> Self {
        Self {
            validity: Validity::Future,
            ..self
        }
    }

    /// Signs the certificate with its own key: there is no authority to trust.
    ///
    /// # Errors
    ///
    /// When a name is not one a certificate can carry.
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
        // Before 2050, so that both dates are UTCTime, the form every parser knows (RFC 5280, 4.1.2.5).
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

/// A certificate, the chain above it and the private key to it.
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

    /// The certificates as DER, leaf first, root left out.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The certificates as PEM, leaf first, root left out.
    #[must_use]
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The private key as DER (PKCS #8).
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// The private key as PEM (PKCS #8).
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

fn authority_params(name: &str) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2048, 1, 1);
    Ok(params)
}

/// Different in each of this process's authorities.
fn numbered(name: &str) -> String {
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
        let authority = Authority::new().unwrap().intermediate().unwrap();
        let identity = authority.issue(&Leaf::server(["a.example"])).unwrap();
        let read: Vec<_> = CertificateDer::pem_slice_iter(identity.chain_pem().as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(read, identity.chain());
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn the_key_reads_back_from_its_pem() {
        let identity = Leaf::server(["a.example"]).self_signed().unwrap();
        let read = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
        assert_eq!(read, identity.key());
    }

    #[test]
    fn a_root_is_the_same_certificate_in_both_forms() {
        let authority = Authority::new().unwrap();
        assert_eq!(
            CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap(),
            authority.der()
        );
    }

    #[test]
    fn a_name_no_certificate_can_carry_is_refused() {
        let refused = Authority::new()
            .unwrap()
            .issue(&Leaf::server(["b\u{fc}cher.example"]));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
