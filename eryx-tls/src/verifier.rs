//! The verifier of server certificates.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::certificate::{is_ca_as_leaf, refine_unknown_issuer, to_rustls_error};
use crate::crl::{self, Revocation};
use crate::path_search::{self, PathSearchCost};
use crate::trust::TrustStore;
use crate::x509_strict;

/// Which parts of the peer's certificate are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyMode {
    /// The chain and the name.
    ChainAndName,
    /// The chain only.
    Chain,
    /// Nothing: every peer is accepted.
    None,
}

/// Requirements on a chain besides a trust anchor: X509_STRICT and CRLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainRequirements {
    pub(crate) strict: bool,
    pub(crate) revocation: Option<Revocation>,
    pub(crate) lists: Arc<[Vec<u8>]>,
}

/// Verifies a peer's certificate with a [`TrustStore`].
///
/// In every mode it also verifies that the peer has the certificate's key.
#[derive(Debug)]
pub(crate) struct Verifier {
    verify_mode: VerifyMode,
    trust: TrustStore,
    requirements: ChainRequirements,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(crate) fn new(
        verify_mode: VerifyMode,
        trust: TrustStore,
        requirements: ChainRequirements,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Arc<Self> {
        Arc::new(Self {
            verify_mode,
            trust,
            requirements,
            algorithms,
        })
    }

    /// Verifies a chain, and sets `cost` to an upper bound for the search for a path.
    pub(crate) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
        cost: &mut PathSearchCost,
    ) -> Result<(), Error> {
        path_search::check_message(leaf, intermediates)?;
        if self.verify_mode == VerifyMode::None {
            return Ok(());
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        let anchors = self.trust.anchors();
        let candidates = path_search::candidates(leaf, intermediates, anchors, cost)?;
        let path = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            anchors,
            &candidates,
            now,
            self.algorithms.all,
        );
        match path {
            Ok(()) => {}
            // `openssl req -x509` marks its certificates as CAs. Added as a root, such a
            // certificate is meant for the server that presents it.
            Err(error) if is_ca_as_leaf(&error) && self.trust.contains(leaf) => {}
            Err(error) => return Err(refine_unknown_issuer(error, leaf, intermediates)),
        }
        self.check_requirements(leaf, &candidates, now)?;
        if self.verify_mode == VerifyMode::ChainAndName {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(())
    }

    /// Checks the other requirements on a chain that leads to an anchor.
    ///
    /// As in OpenSSL, they apply to the path that was found, and not to other possible paths.
    fn check_requirements(
        &self,
        leaf: &CertificateDer<'_>,
        candidates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        // A chain that is only the trusted certificate itself need not be strict.
        let strict = self.requirements.strict && !self.trust.contains(leaf);
        if self.requirements.revocation.is_none() && !strict {
            return Ok(());
        }
        let parsed = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let path = parsed.verify_for_usage(
            self.algorithms.all,
            &self.trust.anchors().roots,
            candidates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        );
        // Only a trusted certificate that is marked as a CA has no path: for any other chain, the
        // caller has found one.
        let path = path.ok();
        let intermediates: Vec<_> = path
            .iter()
            .flat_map(|path| path.intermediate_certificates())
            .map(|cert| cert.der())
            .collect();
        if let Some(depth) = self.requirements.revocation {
            let path = path.as_ref().ok_or_else(crl::unusable_crl)?;
            crl::check(
                depth,
                &self.requirements.lists,
                path.anchor(),
                leaf,
                &intermediates,
                now,
                &self.algorithms,
            )?;
        }
        if !strict {
            return Ok(());
        }
        let path = path
            .as_ref()
            .ok_or(CertificateError::ApplicationVerificationFailure)?;
        let chain = std::iter::once(leaf.as_ref()).chain(intermediates.iter().map(AsRef::as_ref));
        match x509_strict::first_violation(chain, self.trust.certificate_of(path.anchor())) {
            Some(violation) => Err(to_rustls_error(violation)),
            None => Ok(()),
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
        let mut cost = PathSearchCost::default();
        self.verify(leaf, intermediates, server_name, now, &mut cost)?;
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use rustls::crypto::WebPkiSupportedAlgorithms;
    use rustls_pki_types::{
        AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
        SignatureVerificationAlgorithm, UnixTime,
    };

    use super::{ChainRequirements, Verifier, VerifyMode};
    use crate::path_search::PathSearchCost;
    use crate::trust::TrustStore;

    thread_local! {
        static VERIFIED: Cell<usize> = const { Cell::new(0) };
    }

    /// ECDSA over P-256 that counts signatures and accepts every one.
    #[derive(Debug)]
    struct AcceptsAll;

    impl SignatureVerificationAlgorithm for AcceptsAll {
        fn verify_signature(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
            VERIFIED.set(VERIFIED.get() + 1);
            Ok(())
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            rustls_pki_types::alg_id::ECDSA_P256
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            rustls_pki_types::alg_id::ECDSA_SHA256
        }
    }

    const ACCEPTS_ALL: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
        all: &[&AcceptsAll],
        mapping: &[],
    };

    type Issuer = rcgen::Issuer<'static, rcgen::KeyPair>;

    /// Creates a CA with the same name as all others, which may issue certificates only for
    /// `other.example`.
    fn certificate_authority(issuer: Option<&Issuer>) -> (Issuer, CertificateDer<'static>) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("other.example".into())],
            excluded_subtrees: Vec::new(),
        });
        let cert = match issuer {
            None => params.self_signed(&key),
            Some(issuer) => params.signed_by(&key, issuer),
        };
        let der = cert.expect("a certificate").der().clone();
        (rcgen::Issuer::new(params, key), der)
    }

    /// Every order of the CAs is a path to either anchor, and fails after all of its signatures.
    #[test]
    fn the_search_verifies_exactly_the_signatures_counted_before_and_none_above_the_limit() {
        let (first, anchor) = certificate_authority(None);
        let (_, other) = certificate_authority(None);
        let trust = TrustStore::empty().with_certificates(vec![anchor, other]);
        let trust = trust.expect("two roots");
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("a name");
        let leaf = params.signed_by(&key, &first).expect("a certificate");
        let requirements = ChainRequirements {
            strict: false,
            revocation: None,
            lists: Arc::default(),
        };
        let verifier = Verifier::new(VerifyMode::Chain, trust.clone(), requirements, ACCEPTS_ALL);
        let name = ServerName::try_from("a.example").expect("a name");
        for (count, signatures) in [(0, Some(2)), (1, Some(6)), (2, Some(22)), (3, None)] {
            let intermediates: Vec<_> = (0..count)
                .map(|_| certificate_authority(Some(&first)).1)
                .collect();
            VERIFIED.set(0);
            let mut cost = PathSearchCost::default();
            let now = UnixTime::now();
            let outcome = verifier.verify(leaf.der(), &intermediates, &name, now, &mut cost);
            assert!(outcome.is_err());
            assert_eq!(VERIFIED.get(), signatures.unwrap_or(0), "{outcome:?}");
            if let Some(signatures) = signatures {
                assert_eq!(cost.signatures, signatures);
            }
        }
    }
}
