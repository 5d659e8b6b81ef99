use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::certificate::{explain, is_ca_as_leaf, refused};
use crate::chain::{self, Effort};
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
    /// Nothing: any peer is accepted.
    Nothing,
}

/// What is asked of a chain beyond leading to an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demands {
    pub(crate) strict: bool,
    pub(crate) revocation: Option<Revocation>,
    pub(crate) lists: Arc<[Vec<u8>]>,
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

    /// Judges a chain, and counts in `effort` how much work the search for a path takes at most.
    pub(crate) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
        effort: &mut Effort,
    ) -> Result<(), Error> {
        chain::check_message(leaf, intermediates)?;
        if self.check == Check::Nothing {
            return Ok(());
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        let anchors = self.trust.anchors();
        let candidates = chain::candidates(leaf, intermediates, anchors, effort)?;
        let path = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            anchors,
            &candidates,
            now,
            self.algorithms.all,
        );
        match path {
            Ok(()) => {}
            // `openssl req -x509` marks what it makes as a CA. Given as a root, such a certificate is meant
            // to vouch for the server that presents it.
            Err(error) if is_ca_as_leaf(&error) && self.trust.holds(leaf) => {}
            Err(error) => return Err(explain(error, leaf, intermediates)),
        }
        self.check_demands(leaf, &candidates, now)?;
        if self.check == Check::ChainAndName {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(())
    }

    /// Checks that a chain that leads to an anchor meets the other demands.
    ///
    /// They concern the path that was found, as OpenSSL has it, and not every other there may be.
    fn check_demands(
        &self,
        leaf: &CertificateDer<'_>,
        candidates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        // A chain of one, the trusted certificate itself, need not be strict.
        let strict = self.demands.strict && !self.trust.holds(leaf);
        if self.demands.revocation.is_none() && !strict {
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
        // Missing for a trusted certificate alone: it was found a moment ago for any other.
        let path = path.ok();
        let between: Vec<_> = path
            .iter()
            .flat_map(|path| path.intermediate_certificates())
            .map(|cert| cert.der())
            .collect();
        if let Some(depth) = self.demands.revocation {
            let path = path.as_ref().ok_or_else(revocation::unknown)?;
            revocation::check(
                depth,
                &self.demands.lists,
                path.anchor(),
                leaf,
                &between,
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
        let chain = std::iter::once(leaf.as_ref()).chain(between.iter().map(AsRef::as_ref));
        match strictness::objection(chain, self.trust.certificate_of(path.anchor())) {
            Some(objection) => Err(refused(objection)),
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
        let mut effort = Effort::default();
        self.verify(leaf, intermediates, server_name, now, &mut effort)?;
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

    use super::{Check, Demands, Verifier};
    use crate::{Effort, TrustStore};

    thread_local! {
        static VERIFIED: Cell<usize> = const { Cell::new(0) };
    }

    /// ECDSA over P-256 that counts and accepts every signature.
    #[derive(Debug)]
    struct Credulous;

    impl SignatureVerificationAlgorithm for Credulous {
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

    const CREDULOUS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
        all: &[&Credulous],
        mapping: &[],
    };

    type Issuer = rcgen::Issuer<'static, rcgen::KeyPair>;

    /// An authority that is called as all others here, and may vouch for nobody but `other.example`.
    fn authority(below: Option<&Issuer>) -> (Issuer, CertificateDer<'static>) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("other.example".into())],
            excluded_subtrees: Vec::new(),
        });
        let cert = match below {
            None => params.self_signed(&key),
            Some(issuer) => params.signed_by(&key, issuer),
        };
        let der = cert.expect("a certificate").der().clone();
        (rcgen::Issuer::new(params, key), der)
    }

    /// Every order of the authorities is a path to either anchor, which fails after all of its signatures.
    #[test]
    fn as_many_signatures_are_verified_as_were_counted_before_and_none_when_those_are_too_many() {
        let (first, anchor) = authority(None);
        let (_, other) = authority(None);
        let trust = TrustStore::empty().with_certificates(vec![anchor, other]);
        let trust = trust.expect("two roots");
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("a name");
        let leaf = params.signed_by(&key, &first).expect("a certificate");
        let demands = Demands {
            strict: false,
            revocation: None,
            lists: Arc::default(),
        };
        let verifier = Verifier::new(Check::Chain, trust.clone(), demands, CREDULOUS);
        let name = ServerName::try_from("a.example").expect("a name");
        for (authorities, signatures) in [(0, Some(2)), (1, Some(6)), (2, Some(22)), (3, None)] {
            let intermediates: Vec<_> = (0..authorities)
                .map(|_| authority(Some(&first)).1)
                .collect();
            VERIFIED.set(0);
            let mut effort = Effort::default();
            let now = UnixTime::now();
            let outcome = verifier.verify(leaf.der(), &intermediates, &name, now, &mut effort);
            assert!(outcome.is_err());
            assert_eq!(VERIFIED.get(), signatures.unwrap_or(0), "{outcome:?}");
            if let Some(signatures) = signatures {
                assert_eq!(effort.signatures, signatures);
            }
        }
    }
}
