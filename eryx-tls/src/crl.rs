use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::certificate::refused;

/// Whose revocation is looked up in the lists that the settings carry
/// ([RFC 5280, 6.3](https://www.rfc-editor.org/rfc/rfc5280#section-6.3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// That of the peer's own certificate.
    Leaf,
    /// That of every certificate up to the root.
    Chain,
}

/// Looks a path, already found good, up in revocation lists.
///
/// Lists are read anew each time: what is kept between handshakes is no larger than what was given. There is one path,
/// so each of its certificates is looked up once, in lists of at most
/// [`REVOCATION_LISTS_SIZE`](crate::limits::REVOCATION_LISTS_SIZE) bytes together.
pub(crate) fn check(
    depth: Revocation,
    lists: &[Vec<u8>],
    anchor: &TrustAnchor<'_>,
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let parsed: Vec<CertRevocationList<'_>> = lists
        .iter()
        .map(|der| BorrowedCertRevocationList::from_der(der).map(Into::into))
        .collect::<Result<_, _>>()
        .map_err(|_| unknown())?;
    let known: Vec<&CertRevocationList<'_>> = parsed.iter().collect();
    let options = options(depth, &known)?;
    EndEntityCert::try_from(leaf)
        .and_then(|cert| {
            cert.verify_for_usage(
                algorithms.all,
                std::slice::from_ref(anchor),
                between,
                now,
                KeyUsage::server_auth(),
                Some(options),
                None,
            )
            .map(drop)
        })
        .map_err(verdict)
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
        .map_err(|_| unknown())
}

fn verdict(error: webpki::Error) -> Error {
    use webpki::Error as W;
    match error {
        W::CertRevoked => CertificateError::Revoked.into(),
        W::CrlExpired { time, next_update } => {
            CertificateError::ExpiredRevocationListContext { time, next_update }.into()
        }
        W::InvalidCrlSignatureForPublicKey => refused((8, "CRL signature failure")),
        W::IssuerNotCrlSigner => refused((35, "key usage does not include CRL signing")),
        // The chain itself is good, so that what is left concerns its revocation.
        _ => unknown(),
    }
}

/// OpenSSL's answer when there is no list, or none that can be read, for a certificate.
pub(crate) fn unknown() -> Error {
    CertificateError::UnknownRevocationStatus.into()
}
