//! Trust stores: the root certificates that a peer's chain may lead to.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use thiserror::Error;

/// The root certificates that a peer's chain may lead to. Immutable, and cheap to clone.
///
/// Two stores are equal when they trust the same certificates, in any order of addition.
///
/// ```
/// use eryx_tls::{TrustError, TrustStore};
///
/// let public = TrustStore::webpki();
/// assert!(public.len() > 100);
/// assert!(matches!(public.with_root_cert(b"not a certificate"), Err(TrustError::NotACertificate { .. })));
/// ```
#[derive(Clone)]
pub struct TrustStore {
    inner: Arc<Inner>,
}

struct Inner {
    public: bool,
    /// Sorted and without duplicates, so that equal stores compare as equal.
    extra_roots: Vec<CertificateDer<'static>>,
    anchors: RootCertStore,
}

impl TrustStore {
    /// Returns a store with the public roots of Mozilla's list (the crate `webpki-roots`).
    pub fn webpki() -> Self {
        static PUBLIC: LazyLock<TrustStore> = LazyLock::new(|| TrustStore {
            inner: Arc::new(Inner {
                public: true,
                extra_roots: Vec::new(),
                anchors: RootCertStore {
                    roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
                },
            }),
        });
        PUBLIC.clone()
    }

    /// Returns a store that trusts no certificate.
    pub fn empty() -> Self {
        Self {
            inner: Arc::new(Inner {
                public: false,
                extra_roots: Vec::new(),
                anchors: RootCertStore::empty(),
            }),
        }
    }

    /// Returns a store that also trusts the certificates in `bytes`: PEM ([RFC
    /// 7468](https://www.rfc-editor.org/rfc/rfc7468)) with one or many certificates, in which other
    /// text is ignored, or the DER of a single certificate. Certificates that are already trusted
    /// change nothing.
    ///
    /// # Errors
    ///
    /// A [`TrustError`] that describes the bytes. No certificate is skipped: one malformed
    /// certificate makes the whole bundle an error.
    pub fn with_root_cert(&self, bytes: &[u8]) -> Result<Self, TrustError> {
        self.with_certificates(certificates(bytes)?)
    }

    /// Returns the number of trusted certificates.
    pub fn len(&self) -> usize {
        self.inner.anchors.len()
    }

    /// Returns whether the store trusts no certificate.
    pub fn is_empty(&self) -> bool {
        self.inner.anchors.is_empty()
    }

    /// Returns the added certificates in DER, in no particular order and without the public roots.
    pub fn extra_roots(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.inner.extra_roots.iter().map(AsRef::as_ref)
    }

    /// Returns a store that also trusts these certificates.
    pub(crate) fn with_certificates(
        &self,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustError> {
        let mut extra_roots = self.inner.extra_roots.clone();
        let mut anchors = self.inner.anchors.clone();
        for (index, cert) in certificates.into_iter().enumerate() {
            let Err(position) = find(&extra_roots, &cert) else {
                continue;
            };
            anchors
                .add(cert.clone())
                .map_err(|_| TrustError::NotACertificate {
                    position: index + 1,
                })?;
            extra_roots.insert(position, cert);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                public: self.inner.public,
                extra_roots,
                anchors,
            }),
        })
    }

    pub(crate) fn anchors(&self) -> &RootCertStore {
        &self.inner.anchors
    }

    /// Returns the added certificate of an anchor.
    pub(crate) fn certificate_of(&self, anchor: &TrustAnchor<'_>) -> Option<&[u8]> {
        self.extra_roots().find(|der| {
            let cert = CertificateDer::from(*der);
            webpki::anchor_from_trusted_cert(&cert).is_ok_and(|found| found == *anchor)
        })
    }

    /// Returns whether exactly this certificate was added.
    pub(crate) fn contains(&self, cert: &CertificateDer<'_>) -> bool {
        find(&self.inner.extra_roots, cert).is_ok()
    }
}

impl Default for TrustStore {
    /// Returns [`TrustStore::webpki`].
    fn default() -> Self {
        Self::webpki()
    }
}

impl PartialEq for TrustStore {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.inner.public == other.inner.public
                && self.inner.extra_roots == other.inner.extra_roots)
    }
}

impl Eq for TrustStore {}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("public_roots", &self.inner.public)
            .field("extra_roots", &self.inner.extra_roots.len())
            .finish()
    }
}

/// The error of bytes that were given as root certificates.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// There are no bytes.
    #[error("the root certificate is empty: wanted a PEM bundle or a DER certificate")]
    Empty,
    /// The PEM has no `CERTIFICATE` section.
    #[error(
        "no certificate in this PEM, only {found}: wanted at least one section that begins with \
         -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate {
        /// The labels of the sections, separated by commas.
        found: String,
    },
    /// The bytes contain a private key.
    #[error(
        "this holds a private key, which a trusted CA never hands out: give the CA's certificate \
         alone (-----BEGIN CERTIFICATE-----), without the key"
    )]
    PrivateKey,
    /// The PEM cannot be decoded.
    #[error("malformed PEM: {0}")]
    MalformedPem(String),
    /// The bytes are not an X.509 certificate.
    #[error(
        "certificate {position} is not an X.509 certificate: wanted a PEM bundle (-----BEGIN \
         CERTIFICATE-----) or the DER of one certificate"
    )]
    NotACertificate {
        /// The position of the certificate, counted from 1.
        position: usize,
    },
}

fn find(sorted: &[CertificateDer<'_>], cert: &CertificateDer<'_>) -> Result<usize, usize> {
    sorted.binary_search_by(|other| other.as_ref().cmp(cert.as_ref()))
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    // Windows editors write a byte order mark first.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(TrustError::Empty);
    }
    let labels = pem_labels(bytes);
    if labels.is_empty() {
        if PrivateKeyDer::try_from(bytes).is_ok() {
            return Err(TrustError::PrivateKey);
        }
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    if labels.iter().any(|label| label.contains("PRIVATE KEY")) {
        return Err(TrustError::PrivateKey);
    }

    let mut certificates = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(malformed)?;
        if kind == SectionKind::Certificate {
            certificates.push(CertificateDer::from(der));
        }
    }
    if certificates.is_empty() {
        return Err(TrustError::NoCertificate {
            found: labels.join(", "),
        });
    }
    Ok(certificates)
}

/// Returns the labels of the PEM sections in `bytes`; empty if there is none.
fn pem_labels(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter_map(|line| {
            let label = line.trim_ascii().strip_prefix(b"-----BEGIN ")?;
            let label = label.strip_suffix(b"-----")?;
            Some(String::from_utf8_lossy(label).into_owned())
        })
        .collect()
}

fn malformed(error: pem::Error) -> TrustError {
    TrustError::MalformedPem(match error {
        pem::Error::MissingSectionEnd { .. } => {
            "a section has no -----END line; the file may be cut off".into()
        }
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is not well formed".into(),
        pem::Error::Base64Decode(error) => format!("not base64 between the lines ({error})"),
        other => other.to_string(),
    })
}
