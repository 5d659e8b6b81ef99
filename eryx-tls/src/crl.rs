//! Revocation checking against certificate revocation lists (CRLs).

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::certificate::to_rustls_error;

/// The certificates whose revocation is checked against the lists in the settings
/// ([RFC 5280, 6.3](https://www.rfc-editor.org/rfc/rfc5280#section-6.3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Only the peer's own certificate.
    Leaf,
    /// Every certificate of the path up to the root.
    Chain,
}

/// Checks the certificates of a verified path against revocation lists.
///
/// The lists are parsed for each handshake, so that no parsed form takes memory between handshakes.
/// There is one path, so each of its certificates is looked up once, in lists of at most
/// [`MAX_REVOCATION_LISTS_SIZE`](crate::limits::MAX_REVOCATION_LISTS_SIZE) bytes together.
pub(crate) fn check(
    depth: Revocation,
    lists: &[Vec<u8>],
    anchor: &TrustAnchor<'_>,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let parsed: Vec<CertRevocationList<'_>> = lists
        .iter()
        .map(|der| BorrowedCertRevocationList::from_der(der).map(Into::into))
        .collect::<Result<_, _>>()
        .map_err(|_| unusable_crl())?;
    let list_refs: Vec<&CertRevocationList<'_>> = parsed.iter().collect();
    let options = options(depth, &list_refs)?;
    EndEntityCert::try_from(leaf)
        .and_then(|cert| {
            cert.verify_for_usage(
                algorithms.all,
                std::slice::from_ref(anchor),
                intermediates,
                now,
                KeyUsage::server_auth(),
                Some(options),
                None,
            )
            .map(drop)
        })
        .map_err(to_rustls)
}

fn options<'a>(
    depth: Revocation,
    lists: &'a [&'a CertRevocationList<'a>],
) -> Result<RevocationOptions<'a>, Error> {
    let depth = match depth {
        Revocation::Leaf => RevocationCheckDepth::EndEntity,
        Revocation::Chain => RevocationCheckDepth::Chain,
    };
    RevocationOptionsBuilder::new(lists)
        .map(|options| {
            options
                .with_depth(depth)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        })
        .map_err(|_| unusable_crl())
}

fn to_rustls(error: webpki::Error) -> Error {
    use webpki::Error as W;
    match error {
        W::CertRevoked => CertificateError::Revoked.into(),
        W::CrlExpired { time, next_update } => {
            CertificateError::ExpiredRevocationListContext { time, next_update }.into()
        }
        W::InvalidCrlSignatureForPublicKey => to_rustls_error((8, "CRL signature failure")),
        W::IssuerNotCrlSigner => to_rustls_error((35, "key usage does not include CRL signing")),
        // The path itself is valid, so every other error concerns its revocation.
        _ => unusable_crl(),
    }
}

/// Returns the error for a certificate without a list, or without one that can be parsed (as in
/// OpenSSL).
pub(crate) fn unusable_crl() -> Error {
    CertificateError::UnknownRevocationStatus.into()
}
