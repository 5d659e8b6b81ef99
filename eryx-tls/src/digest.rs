//! The digest of settings, which identifies configurations and sessions.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::effective_settings::EffectiveSettings;

/// A digest (SHA-256) of all settings that affect a handshake, except the server's name.
///
/// Settings with equal digests can share a configuration, and resume each other's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SettingsDigest([u8; 32]);

impl SettingsDigest {
    pub(crate) fn new(effective: &EffectiveSettings<'_>) -> Self {
        let settings = effective.settings;
        let requirements = effective.chain_requirements();
        let mut encoder = Encoder(Sha256::new());
        encoder.number(effective.verify_mode as usize);
        encoder.number(usize::from(settings.server_name.is_some()));
        encoder.number(
            settings
                .min_version
                .map_or(0, |version| version as usize + 1),
        );
        encoder.number(
            settings
                .max_version
                .map_or(0, |version| version as usize + 1),
        );
        encoder.list(settings.alpn.iter().map(Vec::as_slice));
        for numbers in [&settings.ciphers, &settings.groups] {
            encoder.number(numbers.len());
            for number in numbers {
                encoder.number(usize::from(*number));
            }
        }
        encoder.list(effective.roots().iter().map(Vec::as_slice));
        encoder.number(usize::from(requirements.strict));
        encoder.number(
            requirements
                .revocation
                .map_or(0, |depth| depth as usize + 1),
        );
        encoder.list(requirements.lists.iter().map(Vec::as_slice));
        match settings.identity.as_deref() {
            None => encoder.number(0),
            Some(identity) => {
                encoder.number(1);
                encoder.list(identity.chain.iter().map(Vec::as_slice));
                encoder.bytes(&identity.key);
            }
        }
        Self(encoder.0.finalize().into())
    }

    #[cfg(test)]
    pub(crate) fn numbered(number: u8) -> Self {
        Self([number; 32])
    }
}

impl fmt::Debug for SettingsDigest {
    /// Omits most of the digest, because its input includes a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, ..] = self.0;
        write!(f, "SettingsDigest({first:02x}{second:02x}..)")
    }
}

/// Encodes every value with its length first, so that different values never have the same
/// encoding.
struct Encoder(Sha256);

impl Encoder {
    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }

    fn list<'a>(&mut self, items: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.number(items.len());
        for item in items {
            self.bytes(item);
        }
    }
}
