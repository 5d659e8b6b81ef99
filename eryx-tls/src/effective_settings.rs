//! The settings of a handshake without the parts that have no effect.

use std::sync::Arc;

use rustls::{SupportedProtocolVersion, version};

use crate::info::Version;
use crate::settings::ClientSettings;
use crate::verifier::{ChainRequirements, VerifyMode};

/// Settings as they take effect: parts that cannot decide anything are left out.
#[derive(Clone, Copy)]
pub(crate) struct EffectiveSettings<'a> {
    pub(crate) settings: &'a ClientSettings,
    pub(crate) verify_mode: VerifyMode,
    roots_effective: bool,
}

impl<'a> EffectiveSettings<'a> {
    pub(crate) fn new(
        settings: &'a ClientSettings,
        verify_mode: VerifyMode,
        roots_effective: bool,
    ) -> Self {
        Self {
            settings,
            verify_mode,
            // Roots without effect must not make settings distinct.
            roots_effective: roots_effective && verify_mode != VerifyMode::None,
        }
    }

    /// Returns the roots to trust instead of the embedder's; empty where the embedder's roots
    /// decide.
    pub(crate) fn roots(&self) -> &'a [Vec<u8>] {
        if self.roots_effective {
            &self.settings.roots
        } else {
            &[]
        }
    }

    /// Returns the requirements on a chain besides a trust anchor.
    pub(crate) fn chain_requirements(&self) -> ChainRequirements {
        let settings = self.settings;
        ChainRequirements {
            strict: settings.strict && !self.roots().is_empty(),
            revocation: settings.revocation,
            lists: if settings.revocation.is_some() {
                Arc::clone(&settings.revocation_lists)
            } else {
                Arc::default()
            },
        }
    }

    /// Returns the protocol versions, the highest first.
    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let min = self.settings.min_version.unwrap_or(Version::Tls12);
        let max = self.settings.max_version.unwrap_or(Version::Tls13);
        [
            (Version::Tls13, &version::TLS13),
            (Version::Tls12, &version::TLS12),
        ]
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, supported)| supported)
        .collect()
    }

    /// Returns the approximate size of a configuration with these settings, in bytes, without the
    /// embedder's roots.
    pub(crate) fn size(&self) -> usize {
        let sum = |items: &[Vec<u8>]| {
            items
                .iter()
                .map(|item| item.len() + ITEM_OVERHEAD)
                .sum::<usize>()
        };
        let identity = self.settings.identity.as_deref();
        let identity = identity.map_or(0, |identity| sum(&identity.chain) + identity.key.len());
        // A root is stored in full, and its name and its key a second time.
        CONFIG_OVERHEAD
            + 2 * sum(self.roots())
            + sum(&self.chain_requirements().lists)
            + sum(&self.settings.alpn)
            + identity
    }
}

/// The approximate size of a configuration without items, in bytes.
const CONFIG_OVERHEAD: usize = 2 * 1024;
/// The approximate memory of an item besides its bytes.
const ITEM_OVERHEAD: usize = 64;
