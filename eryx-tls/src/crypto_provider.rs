//! The cryptography provider, restricted to the cipher suites and groups of the settings.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::ALL_KX_GROUPS;

use crate::error::TlsError;

/// Returns a provider that offers only these cipher suites and groups, in this order. An empty list
/// means all that `provider` offers. Unknown numbers are ignored.
pub(crate) fn restrict(
    provider: &Arc<CryptoProvider>,
    ciphers: &[u16],
    groups: &[u16],
) -> Result<Arc<CryptoProvider>, TlsError> {
    if ciphers.is_empty() && groups.is_empty() {
        return Ok(Arc::clone(provider));
    }
    let mut restricted = CryptoProvider::clone(provider);
    if !ciphers.is_empty() {
        restricted.cipher_suites = select(ciphers, &provider.cipher_suites, |suite| {
            u16::from(suite.suite())
        });
        if restricted.cipher_suites.is_empty() {
            return Err(nothing_left("cipher suite", "the choice of ciphers"));
        }
    }
    if !groups.is_empty() {
        restricted.kx_groups = select(groups, ALL_KX_GROUPS, |group| u16::from(group.name()));
        if restricted.kx_groups.is_empty() {
            return Err(nothing_left("key exchange", "the choice of curves"));
        }
    }
    Ok(Arc::new(restricted))
}

/// Returns the error for settings that leave nothing of a kind to offer.
pub(crate) fn nothing_left(kind: &str, cause: &str) -> TlsError {
    TlsError::Refused(format!(
        "{cause} leaves no {kind} that is available here: permit more"
    ))
}

fn select<T: Copy>(numbers: &[u16], available: &[T], number: impl Fn(&T) -> u16) -> Vec<T> {
    let mut selected: Vec<T> = Vec::new();
    let mut seen: Vec<u16> = Vec::new();
    for wanted in numbers {
        let item = available.iter().find(|item| number(item) == *wanted);
        if let Some(item) = item.filter(|_| !seen.contains(wanted)) {
            seen.push(*wanted);
            selected.push(*item);
        }
    }
    selected
}
