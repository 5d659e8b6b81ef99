use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use thiserror::Error;

/// The certificates a peer's chain may lead to. Immutable, and cheap to clone.
///
/// Two stores are equal when they trust the same certificates, whatever the order they were added in.
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
    /// Sorted and without duplicates, so that equality is equality.
    added: Vec<CertificateDer<'static>>,
    anchors: RootCertStore,
}

impl TrustStore {
    /// The public web's roots, as Mozilla keeps them (the crate `webpki-roots`).
    pub fn webpki() -> Self {
        static PUBLIC: LazyLock<TrustStore> = LazyLock::new(|| TrustStore {
            inner: Arc::new(Inner {
                public: true,
                added: Vec::new(),
                anchors: RootCertStore {
                    roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
                },
            }),
        });
        PUBLIC.clone()
    }

    /// A store that trusts nobody.
    pub fn empty() -> Self {
        Self {
            inner: Arc::new(Inner {
                public: false,
                added: Vec::new(),
                anchors: RootCertStore::empty(),
            }),
        }
    }

    /// A store that also trusts the certificates in `bytes`: PEM
    /// ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468), one or many, text around them is ignored), or the
    /// DER of a single one. Certificates that are already trusted change nothing.
    ///
    /// # Errors
    ///
    /// A [`TrustError`] that says what was found instead of certificates. Nothing is skipped: one bad
    /// certificate in a bundle refuses the bundle.
    pub fn with_root_cert(&self, bytes: &[u8]) -> Result<Self, TrustError> {
        self.with_certificates(certificates(bytes)?)
    }

    /// How many certificates are trusted.
    pub fn len(&self) -> usize {
        self.inner.anchors.len()
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.inner.anchors.is_empty()
    }

    /// The certificates that were added, in DER and in no particular order. The public ones are not among
    /// them.
    pub fn added(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.inner.added.iter().map(AsRef::as_ref)
    }

    /// A store that also trusts these certificates in DER.
    pub(crate) fn with_certificates(
        &self,
        certificates: Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustError> {
        let mut added = self.inner.added.clone();
        let mut anchors = self.inner.anchors.clone();
        for (index, cert) in certificates.into_iter().enumerate() {
            let Err(position) = find(&added, &cert) else {
                continue;
            };
            anchors
                .add(cert.clone())
                .map_err(|_| TrustError::NotACertificate {
                    position: index + 1,
                })?;
            added.insert(position, cert);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                public: self.inner.public,
                added,
                anchors,
            }),
        })
    }

    pub(crate) fn anchors(&self) -> &RootCertStore {
        &self.inner.anchors
    }

    /// The certificate that was added as this anchor.
    pub(crate) fn certificate_of(&self, anchor: &TrustAnchor<'_>) -> Option<&[u8]> {
        self.added().find(|der| {
            let cert = CertificateDer::from(*der);
            webpki::anchor_from_trusted_cert(&cert).is_ok_and(|found| found == *anchor)
        })
    }

    /// Whether exactly this certificate was added.
    pub(crate) fn holds(&self, cert: &CertificateDer<'_>) -> bool {
        find(&self.inner.added, cert).is_ok()
    }
}

impl Default for TrustStore {
    /// [`TrustStore::webpki`].
    fn default() -> Self {
        Self::webpki()
    }
}

impl PartialEq for TrustStore {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.inner.public == other.inner.public && self.inner.added == other.inner.added)
    }
}

impl Eq for TrustStore {}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustStore")
            .field("public_roots", &self.inner.public)
            .field("added", &self.inner.added.len())
            .finish()
    }
}

/// Why bytes given as root certificates were not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// No bytes at all.
    #[error("the root certificate is empty: wanted a PEM bundle or a DER certificate")]
    Empty,
    /// PEM in which there is no `CERTIFICATE` section.
    #[error(
        "no certificate in this PEM, only {found}: wanted at least one section that begins with \
         -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate {
        /// The labels found, separated by commas.
        found: String,
    },
    /// A private key, alone or inside a bundle.
    #[error(
        "this holds a private key, which nobody who is to be trusted hands out: give the CA's certificate \
         alone (-----BEGIN CERTIFICATE-----), without the key"
    )]
    PrivateKey,
    /// PEM that cannot be decoded.
    #[error("malformed PEM: {0}")]
    MalformedPem(String),
    /// Something that is not an X.509 certificate.
    #[error(
        "certificate {position} is not an X.509 certificate: wanted a PEM bundle (-----BEGIN \
         CERTIFICATE-----) or the DER of one certificate"
    )]
    NotACertificate {
        /// Which one, counted from 1.
        position: usize,
    },
}

fn find(sorted: &[CertificateDer<'_>], cert: &CertificateDer<'_>) -> Result<usize, usize> {
    sorted.binary_search_by(|other| other.as_ref().cmp(cert.as_ref()))
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    // Windows editors put a byte order mark in front.
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

    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(malformed)?;
        if kind == SectionKind::Certificate {
            found.push(CertificateDer::from(der));
        }
    }
    if found.is_empty() {
        return Err(TrustError::NoCertificate {
            found: labels.join(", "),
        });
    }
    Ok(found)
}

/// The labels of the sections that begin in `bytes`; empty for what is not PEM.
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
        pem::Error::Base64Decode(what) => format!("not base64 between the lines ({what})"),
        other => other.to_string(),
    })
}
