use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::{explain, is_ca_as_leaf};
use crate::trust::TrustStore;

/// How much of a peer's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// The chain and the name.
    ChainAndName,
    /// The chain alone.
    Chain,
    /// Nothing: whoever answers is accepted.
    Nothing,
}

/// Judges a peer's certificate by a [`TrustStore`].
///
/// That the peer holds the certificate's key is verified whatever the check.
#[derive(Debug)]
pub(crate) struct Verifier {
    check: Check,
    trust: TrustStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(crate) fn new(
        check: Check,
        trust: TrustStore,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Arc<Self> {
        Arc::new(Self {
            check,
            trust,
            algorithms,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            self.trust.anchors(),
            intermediates,
            now,
            self.algorithms.all,
        );
        match chain {
            Ok(()) => {}
            // `openssl req -x509` marks what it makes as a CA. Given as a root, such a certificate is meant
            // to vouch for the server that presents it.
            Err(error) if is_ca_as_leaf(&error) && self.trust.holds(leaf) => {}
            Err(error) => return Err(explain(error, leaf, intermediates)),
        }
        if self.check == Check::ChainAndName {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
