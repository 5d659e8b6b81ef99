//! The checks of OpenSSL's `X509_V_FLAG_X509_STRICT`, in addition to those of a valid chain
//! ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-4.2)).

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{KeyUsage, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME, OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, Oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::certificate::VerifyError;

/// Returns the first violation in a chain. The peer's certificate is checked first, and the root,
/// if available, last.
pub(crate) fn first_violation<'a>(
    chain: impl IntoIterator<Item = &'a [u8]>,
    root: Option<&[u8]>,
) -> Option<VerifyError> {
    chain
        .into_iter()
        .find_map(|der| check_certificate(der, false))
        .or_else(|| root.and_then(|der| check_certificate(der, true)))
}

/// Returns the first violation of one certificate, in OpenSSL's order and with OpenSSL's error.
fn check_certificate(der: &[u8], is_root: bool) -> Option<VerifyError> {
    let Ok((_, cert)) = X509Certificate::from_der(der) else {
        return Some((1, "unspecified certificate verification error"));
    };
    let basic = extension(&cert, &OID_X509_EXT_BASIC_CONSTRAINTS);
    let (is_ca, path_length) = match basic.map(X509Extension::parsed_extension) {
        Some(ParsedExtension::BasicConstraints(basic)) => (basic.ca, basic.path_len_constraint),
        _ => (false, None),
    };
    let usage = match extension(&cert, &OID_X509_EXT_KEY_USAGE).map(X509Extension::parsed_extension)
    {
        Some(ParsedExtension::KeyUsage(usage)) => Some(usage),
        _ => None,
    };
    // A certificate without key usage may be used for everything.
    let may_sign = usage.is_none_or(KeyUsage::key_cert_sign);
    let names = extension(&cert, &OID_X509_EXT_SUBJECT_ALT_NAME);
    let nameless = cert.subject().iter_rdn().next().is_none();
    let authority_key = extension(&cert, &OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER);
    let subject_key = extension(&cert, &OID_X509_EXT_SUBJECT_KEY_IDENTIFIER);

    let is_v3 = cert.version().0 >= X509Version::V3.0;

    let violations: [(bool, VerifyError); 14] = [
        (
            path_length.is_some() && !is_ca,
            (80, "Path length invalid for non-CA cert"),
        ),
        (
            path_length.is_some() && !may_sign,
            (81, "Path length given without key usage keyCertSign"),
        ),
        (
            is_ca && basic.is_some_and(|basic| !basic.critical),
            (89, "Basic Constraints of CA cert not marked critical"),
        ),
        (
            is_ca && usage.is_none(),
            (92, "CA cert does not include key usage extension"),
        ),
        (
            !is_ca && usage.is_some_and(KeyUsage::key_cert_sign),
            (82, "Key usage keyCertSign invalid for non-CA cert"),
        ),
        (
            cert.issuer().iter_rdn().next().is_none(),
            (83, "Issuer name empty"),
        ),
        (
            nameless && (is_ca || names.is_none()),
            (84, "Subject name empty"),
        ),
        (
            nameless && names.is_some_and(|names| !names.critical),
            (
                88,
                "Subject empty and Subject Alt Name extension not critical",
            ),
        ),
        (
            names.is_some_and(|names| {
                matches!(names.parsed_extension(),
                    ParsedExtension::SubjectAlternativeName(names) if names.general_names.is_empty())
            }),
            (87, "Empty Subject Alternative Name extension"),
        ),
        (
            authority_key.is_some_and(|key| key.critical),
            (90, "Authority Key Identifier marked critical"),
        ),
        (
            subject_key.is_some_and(|key| key.critical),
            (91, "Subject Key Identifier marked critical"),
        ),
        (
            is_v3 && !is_root && !has_key_identifier(authority_key),
            (85, "Missing Authority Key Identifier"),
        ),
        (
            is_v3 && is_ca && subject_key.is_none(),
            (86, "Missing Subject Key Identifier"),
        ),
        (
            !is_v3 && !cert.extensions().is_empty(),
            (93, "Using cert extension requires at least X509v3"),
        ),
    ];
    violations
        .into_iter()
        .find(|(violated, _)| *violated)
        .map(|(_, error)| error)
}

fn extension<'a>(cert: &'a X509Certificate<'a>, kind: &Oid<'_>) -> Option<&'a X509Extension<'a>> {
    cert.extensions()
        .iter()
        .find(|extension| extension.oid == *kind)
}

fn has_key_identifier(authority_key: Option<&X509Extension<'_>>) -> bool {
    matches!(authority_key.map(X509Extension::parsed_extension),
        Some(ParsedExtension::AuthorityKeyIdentifier(extension)) if extension.key_identifier.is_some())
}
