//! Which cipher suites and groups are offered.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::ALL_KX_GROUPS;

use crate::TlsError;

/// A provider that offers only these, in this order; of what is empty, all that `provider` does.
///
/// Numbers that are not known are passed over.
pub(crate) fn restricted(
    provider: &Arc<CryptoProvider>,
    ciphers: &[u16],
    groups: &[u16],
) -> Result<Arc<CryptoProvider>, TlsError> {
    if ciphers.is_empty() && groups.is_empty() {
        return Ok(Arc::clone(provider));
    }
    let mut fewer = CryptoProvider::clone(provider);
    if !ciphers.is_empty() {
        fewer.cipher_suites = chosen(ciphers, &provider.cipher_suites, |suite| {
            u16::from(suite.suite())
        });
        if fewer.cipher_suites.is_empty() {
            return Err(none_left("cipher suite", "the choice of ciphers"));
        }
    }
    if !groups.is_empty() {
        fewer.kx_groups = chosen(groups, ALL_KX_GROUPS, |group| u16::from(group.name()));
        if fewer.kx_groups.is_empty() {
            return Err(none_left("key exchange", "the choice of curves"));
        }
    }
    Ok(Arc::new(fewer))
}

/// That nothing of a kind is left to offer.
pub(crate) fn none_left(what: &str, because: &str) -> TlsError {
    TlsError::Refused(format!(
        "{because} leaves no {what} that is available here: permit more"
    ))
}

fn chosen<T: Copy>(numbers: &[u16], available: &[T], number: impl Fn(&T) -> u16) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    let mut seen: Vec<u16> = Vec::new();
    for wanted in numbers {
        let each = available.iter().find(|each| number(each) == *wanted);
        if let Some(each) = each.filter(|_| !seen.contains(wanted)) {
            seen.push(*wanted);
            found.push(*each);
        }
    }
    found
}
