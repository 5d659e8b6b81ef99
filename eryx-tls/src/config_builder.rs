//! Builds rustls client configurations from settings.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::crypto_provider;
use crate::effective_settings::EffectiveSettings;
use crate::error::TlsError;
use crate::settings::{ClientSettings, Identity};
use crate::trust::TrustStore;
use crate::verifier::{Verifier, VerifyMode};

/// Builds configurations for one trust store.
pub(crate) struct ConfigBuilder {
    trust: TrustStore,
    allow_unverified: bool,
    provider: Arc<CryptoProvider>,
}

impl ConfigBuilder {
    pub(crate) fn new(trust: TrustStore, allow_unverified: bool) -> Self {
        Self {
            trust,
            allow_unverified,
            provider: Arc::new(aws_lc_rs::default_provider()),
        }
    }

    pub(crate) fn trust(&self) -> &TrustStore {
        &self.trust
    }

    pub(crate) fn allows_unverified(&self) -> bool {
        self.allow_unverified
    }

    #[cfg(test)]
    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// Checks the bounds of the settings, and removes the parts that have no effect here.
    pub(crate) fn effective_settings<'a>(
        &self,
        settings: &'a ClientSettings,
    ) -> Result<EffectiveSettings<'a>, TlsError> {
        settings.check_bounds()?;
        let verify_mode = self.verify_mode(settings)?;
        Ok(EffectiveSettings::new(
            settings,
            verify_mode,
            self.allow_unverified,
        ))
    }

    /// Returns which parts of the peer's certificate are verified, if the embedder permits it.
    fn verify_mode(&self, settings: &ClientSettings) -> Result<VerifyMode, TlsError> {
        let (unverified, verify_mode) = match (settings.verify_peer, settings.check_hostname) {
            (true, true) if settings.server_name.is_some() => return Ok(VerifyMode::ChainAndName),
            (true, true) => {
                return Err(TlsError::Refused(
                    "check_hostname needs a server name to compare the certificate with: give \
                     server_hostname"
                        .into(),
                ));
            }
            // Some programs turn this off to compare the name themselves after the handshake. The
            // additional comparison does not harm them.
            (true, false) if settings.server_name.is_some() && !self.allow_unverified => {
                return Ok(VerifyMode::ChainAndName);
            }
            (true, false) => ("the peer's name (check_hostname is off)", VerifyMode::Chain),
            (false, _) => (
                "the peer's certificate (verify_mode is CERT_NONE)",
                VerifyMode::None,
            ),
        };
        if !self.allow_unverified {
            return Err(TlsError::Refused(format!(
                "this sandbox does not permit TLS without verifying {unverified}. The embedder \
                 decides which peers to trust: add the peer's CA with with_root_cert, or set allow_unverified_tls to permit this"
            )));
        }
        Ok(verify_mode)
    }

    /// Builds a configuration without session resumption.
    pub(crate) fn build(
        &self,
        effective: &EffectiveSettings<'_>,
    ) -> Result<ClientConfig, TlsError> {
        let settings = effective.settings;
        let provider =
            crypto_provider::restrict(&self.provider, &settings.ciphers, &settings.groups)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&effective.versions())
            .map_err(|_| crypto_provider::nothing_left("cipher suite", "the protocol versions"))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(effective)?);
        let mut config = match settings.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(certified(identity)?)),
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        // Every connection gets the session store of its scope.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    pub(crate) fn verifier(
        &self,
        effective: &EffectiveSettings<'_>,
    ) -> Result<Arc<Verifier>, TlsError> {
        Ok(Verifier::new(
            effective.verify_mode,
            self.trust_for(effective)?,
            effective.chain_requirements(),
            self.provider.signature_verification_algorithms,
        ))
    }

    fn trust_for(&self, effective: &EffectiveSettings<'_>) -> Result<TrustStore, TlsError> {
        let roots = effective.roots();
        if roots.is_empty() {
            return Ok(self.trust.clone());
        }
        let roots = roots.iter().map(|der| CertificateDer::from(der.clone()));
        TrustStore::empty()
            .with_certificates(roots.collect())
            .map_err(|error| TlsError::Refused(format!("a root given in DER: {error}")))
    }
}

/// Loads the client's chain and its key.
///
/// The key is borrowed, not copied, until the cryptography library has its own copy, which is
/// overwritten when it is dropped.
fn certified(identity: &Identity) -> Result<SingleCertAndKey, TlsError> {
    let key = PrivateKeyDer::try_from(identity.key.as_slice()).map_err(|_| {
        TlsError::Refused(
            "the client's private key is not a key in DER: wanted PKCS#8, PKCS#1 or SEC1, not encrypted"
                .into(),
        )
    })?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(identity_error)?;
    let chain = identity.chain.iter().cloned().map(CertificateDer::from);
    let certified = CertifiedKey::new(chain.collect(), key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(certified.into())
        }
        Err(error) => Err(identity_error(error)),
    }
}

/// Converts any error about an identity into [`TlsError::Refused`]: the settings have to change.
fn identity_error(error: rustls::Error) -> TlsError {
    match TlsError::from_rustls(error) {
        refused @ TlsError::Refused(_) => refused,
        other => TlsError::Refused(format!(
            "the client's certificate and key cannot be used: {other}"
        )),
    }
}
