use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::certificate::{explain, is_ca_as_leaf, refused};
use crate::revocation::{self, Revocation};
use crate::strictness;
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

/// What is asked of a chain beyond leading to an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demands {
    pub(crate) strict: bool,
    pub(crate) revocation: Option<Revocation>,
    pub(crate) lists: Vec<Vec<u8>>,
}

/// Judges a peer's certificate by a [`TrustStore`].
///
/// That the peer holds the certificate's key is verified whatever the check.
#[derive(Debug)]
pub(crate) struct Verifier {
    check: Check,
    trust: TrustStore,
    demands: Demands,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(crate) fn new(
        check: Check,
        trust: TrustStore,
        demands: Demands,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Arc<Self> {
        Arc::new(Self {
            check,
            trust,
            demands,
            algorithms,
        })
    }

    /// Whether a chain that leads to an anchor meets the other demands.
    fn check_demands(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let anchors = &self.trust.anchors().roots;
        if let Some(depth) = self.demands.revocation {
            revocation::check(
                depth,
                &self.demands.lists,
                anchors,
                leaf,
                intermediates,
                now,
                &self.algorithms,
            )?;
        }
        // A chain of one, the trusted certificate itself, is not looked at.
        if !self.demands.strict || self.trust.holds(leaf) {
            return Ok(());
        }
        let objection = EndEntityCert::try_from(leaf).and_then(|cert| {
            let algorithms = self.algorithms.all;
            let usage = KeyUsage::server_auth();
            let path =
                cert.verify_for_usage(algorithms, anchors, intermediates, now, usage, None, None)?;
            let between: Vec<_> = path
                .intermediate_certificates()
                .map(|cert| cert.der())
                .collect();
            let chain = std::iter::once(leaf.as_ref()).chain(between.iter().map(AsRef::as_ref));
            Ok(strictness::objection(
                chain,
                self.trust.certificate_of(path.anchor()),
            ))
        });
        match objection {
            Ok(Some(objection)) => Err(refused(objection)),
            Ok(None) => Ok(()),
            // It was found a moment ago.
            Err(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
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
        self.check_demands(leaf, intermediates, now)?;
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
