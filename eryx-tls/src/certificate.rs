//! OpenSSL's numbers and messages of certificate errors (`X509_V_ERR_*` of OpenSSL 3.0), which
//! Python programs compare with and print.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, OtherError};
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// OpenSSL's number and message of a certificate error.
pub(crate) type VerifyError = (u32, &'static str);

const UNSPECIFIED: u32 = 1;
const SELF_SIGNED_LEAF: VerifyError = (18, "self-signed certificate");
const SELF_SIGNED_IN_CHAIN: VerifyError = (19, "self-signed certificate in certificate chain");

/// Returns OpenSSL's number and message for `error`.
pub(crate) fn openssl_error(error: &CertificateError) -> (u32, String) {
    use CertificateError as E;
    #[allow(
        deprecated,
        reason = "rustls still constructs the variants without context"
    )]
    let (code, message) = match error {
        E::NotValidForNameContext { expected, .. } => return name_mismatch(expected),
        E::NotValidForName => (62, "hostname mismatch"),
        E::Expired | E::ExpiredContext { .. } => (10, "certificate has expired"),
        E::NotValidYet | E::NotValidYetContext { .. } => (9, "certificate is not yet valid"),
        E::Revoked => (23, "certificate revoked"),
        E::UnknownIssuer => (20, "unable to get local issuer certificate"),
        E::UnhandledCriticalExtension => (34, "unhandled critical extension"),
        E::UnknownRevocationStatus => (3, "unable to get certificate CRL"),
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            (12, "CRL has expired")
        }
        E::BadSignature => (7, "certificate signature failure"),
        // Signatures with SHA-1 or MD5.
        E::UnsupportedSignatureAlgorithm
        | E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            (68, "CA signature digest algorithm too weak")
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            (26, "unsuitable certificate purpose")
        }
        E::InvalidOcspResponse => (74, "OCSP verification failed"),
        E::ApplicationVerificationFailure => (50, "application verification failure"),
        E::Other(other) => return other_error(other),
        _ => (UNSPECIFIED, "unspecified certificate verification error"),
    };
    (code, message.to_owned())
}

/// Replaces "unknown issuer" by a more precise error where a certificate of the chain is
/// self-signed.
///
/// OpenSSL distinguishes a self-signed certificate from one whose issuer is missing; webpki does
/// not.
pub(crate) fn refine_unknown_issuer(
    error: rustls::Error,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> rustls::Error {
    if !is_unknown_issuer(&error) && !is_ca_as_leaf(&error) {
        return error;
    }
    let verify_error = if is_self_issued(leaf) {
        SELF_SIGNED_LEAF
    } else if is_unknown_issuer(&error) && intermediates.iter().any(is_self_issued) {
        SELF_SIGNED_IN_CHAIN
    } else {
        return error;
    };
    to_rustls_error(verify_error)
}

/// Converts an OpenSSL error into a rustls error, from which [`openssl_error`] returns it.
pub(crate) fn to_rustls_error((code, message): VerifyError) -> rustls::Error {
    let precise = PreciseError { code, message };
    CertificateError::Other(OtherError(Arc::new(precise))).into()
}

/// Returns whether the only error is that the server's own certificate is marked as a CA.
///
/// webpki checks the marking after the validity dates and before the issuer, so the dates are
/// valid.
pub(crate) fn is_ca_as_leaf(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

fn is_unknown_issuer(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
    )
}

fn is_self_issued(cert: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(cert).is_ok_and(|cert| cert.issuer() == cert.subject())
}

/// Returns CPython's own messages for these two errors, which contain the name.
fn name_mismatch(expected: &ServerName<'_>) -> (u32, String) {
    let (code, kind) = match expected {
        ServerName::IpAddress(_) => (64, "IP address"),
        _ => (62, "Hostname"),
    };
    let name = expected.to_str();
    (
        code,
        format!("{kind} mismatch, certificate is not valid for '{name}'."),
    )
}

fn other_error(other: &OtherError) -> (u32, String) {
    use webpki::Error as W;
    if let Some(precise) = other.0.downcast_ref::<PreciseError>() {
        return (precise.code, precise.message.to_owned());
    }
    let (code, message) = match other.0.downcast_ref::<W>() {
        Some(W::CaUsedAsEndEntity) => (37, "invalid non-CA certificate (has CA markings)"),
        Some(W::EndEntityUsedAsCa) => (79, "invalid CA certificate"),
        Some(W::PathLenConstraintViolated) => (25, "path length constraint exceeded"),
        Some(W::NameConstraintViolation) => (47, "permitted subtree violation"),
        Some(W::UnsupportedCriticalExtension) => (34, "unhandled critical extension"),
        Some(W::SignatureAlgorithmMismatch) => {
            (78, "cert info signature and signature algorithm mismatch")
        }
        Some(
            W::MaximumPathDepthExceeded
            | W::MaximumPathBuildCallsExceeded
            | W::MaximumSignatureChecksExceeded,
        ) => (22, "certificate chain too long"),
        _ => (UNSPECIFIED, "unspecified certificate verification error"),
    };
    (code, message.to_owned())
}

/// An OpenSSL error inside a rustls error.
#[derive(Debug)]
struct PreciseError {
    code: u32,
    message: &'static str,
}

impl fmt::Display for PreciseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for PreciseError {}
