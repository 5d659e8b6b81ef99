//! The state that all inspected connections of a network share.

use std::sync::Arc;

use eryx_net_policy::HttpPolicy;

use crate::config::NetConfig;
use crate::config::http::{HttpDenials, HttpSettings};
use crate::host_memory::HostMemory;
use crate::http::expected_records::SessionRegistry;
use crate::http::secret_store::SecretStore;

/// The HTTP settings of a network, its placeholders, and the TLS sessions over its transports.
pub(crate) struct HttpContext {
    settings: Arc<HttpSettings>,
    pub(crate) secrets: Arc<SecretStore>,
    pub(crate) sessions: SessionRegistry,
    pub(crate) report_only: bool,
    /// The budget of the network.
    pub(crate) memory: HostMemory,
}

impl HttpContext {
    /// Returns the context of a network, or `None` if its configuration inspects no host.
    pub(crate) fn new(config: &NetConfig, memory: HostMemory) -> Option<Self> {
        let settings = config.http();
        (!settings.policy.is_empty()).then(|| Self {
            secrets: Arc::new(SecretStore::new(&settings.secrets, settings.search.clone())),
            sessions: SessionRegistry::default(),
            report_only: config.report_only(),
            settings: Arc::clone(settings),
            memory,
        })
    }

    /// Returns the context of a fork of the session, whose programs have the same placeholders.
    pub(crate) fn fork(&self, memory: HostMemory) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            secrets: Arc::clone(&self.secrets),
            sessions: SessionRegistry::default(),
            report_only: self.report_only,
            memory,
        }
    }

    pub(crate) fn policy(&self) -> &HttpPolicy {
        &self.settings.policy
    }

    pub(crate) fn denials(&self) -> HttpDenials {
        self.settings.denials
    }
}
