use std::sync::Arc;

use rustls::{SupportedProtocolVersion, version};

use crate::verifier::{Check, Demands};
use crate::{ClientSettings, Version};

/// What settings come to where they are used: what decides nothing there is left out.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) settings: &'a ClientSettings,
    pub(crate) check: Check,
    roots_count: bool,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(settings: &'a ClientSettings, check: Check, roots_count: bool) -> Self {
        Self {
            settings,
            check,
            // Roots that decide nothing must not make settings distinct.
            roots_count: roots_count && check != Check::Nothing,
        }
    }

    /// The roots to trust instead of the host's; none where the host's count.
    pub(crate) fn roots(&self) -> &'a [Vec<u8>] {
        if self.roots_count {
            &self.settings.roots
        } else {
            &[]
        }
    }

    pub(crate) fn demands(&self) -> Demands {
        let settings = self.settings;
        Demands {
            strict: settings.strict && !self.roots().is_empty(),
            revocation: settings.revocation,
            lists: if settings.revocation.is_some() {
                Arc::clone(&settings.revocation_lists)
            } else {
                Arc::default()
            },
        }
    }

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

    /// About how many bytes a configuration of these settings takes, the host's own roots left out.
    pub(crate) fn size(&self) -> usize {
        let sum = |items: &[Vec<u8>]| items.iter().map(|item| item.len() + ITEM).sum::<usize>();
        let identity = self.settings.identity.as_deref();
        let identity = identity.map_or(0, |identity| sum(&identity.chain) + identity.key.len());
        // A root is kept as it is, and its name and its key once more.
        CONFIGURATION
            + 2 * sum(self.roots())
            + sum(&self.demands().lists)
            + sum(&self.settings.alpn)
            + identity
    }
}

/// What a configuration takes in any case, about.
const CONFIGURATION: usize = 2 * 1024;
/// What keeping an item takes besides its bytes, about.
const ITEM: usize = 64;
