//! Certificate chains of a peer that has not proved anything yet.

use std::{sync::LazyLock, time::SystemTime};

use eryx_tls::{
    ClientSettings, Connector, PathSearchCost, Revocation, TlsError, TrustStore, limits,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{forged, operations::Script};

/// Verifies the chain that a script builds, and checks the bounds of the path search.
pub fn run(script: &[u8]) {
    let mut script = Script::new(script);
    let Some(kind) = script.byte() else {
        return;
    };
    let mut chain = Vec::new();
    while let Some(operation) = script.byte()
        && chain.len() < MAX_CERTIFICATES
    {
        add(&mut chain, operation, &mut script);
    }
    let settings = ClientSettings {
        strict: kind & 1 != 0,
        revocation: (kind & 2 != 0).then_some(Revocation::Chain),
        check_hostname: kind & 4 == 0,
        verify_peer: kind & 12 != 12,
        ..ClientSettings::for_name(HOST)
    };
    let setup = &*SETUP;
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let (cost, outcome) = setup
        .connector
        .verify_chain(&settings, &chain, SystemTime::now());
    let max = PathSearchCost::MAX;
    assert!(cost.certificates <= max.certificates, "{cost:?}");
    assert!(cost.steps <= max.steps, "{cost:?}");
    assert!(cost.parsed_bytes <= max.parsed_bytes, "{cost:?}");
    assert!(cost.signatures <= max.signatures, "{cost:?}");
    match outcome {
        Ok(()) if settings.verify_peer => {
            assert!(
                settings.revocation.is_none(),
                "no revocation list covers it"
            );
            assert!(chain.len() <= limits::MAX_PEER_CHAIN);
            // The root may be presented as the end entity, too.
            assert!(chain[0] == setup.chain[0] || chain[0] == setup.chain[3]);
        }
        Ok(()) => {}
        Err(TlsError::Certificate { code, .. }) => assert_ne!(code, 0),
        Err(error) => assert!(chain.is_empty(), "{error}"),
    }
}

/// Changes the chain as the next operation of the script says.
fn add(chain: &mut Vec<Vec<u8>>, operation: u8, script: &mut Script<'_>) {
    let detail = script.byte().unwrap_or(0);
    match operation % 8 {
        // A certificate of a valid chain.
        0 | 1 => chain.push(SETUP.chain[usize::from(detail) % SETUP.chain.len()].clone()),
        // A forged certificate whose names match others.
        2 | 3 => {
            let names = ["x", "y", "z", ROOT];
            let name = |bits: u8| names[usize::from(bits & 3)];
            let padding = vec![0; usize::from(script.byte().unwrap_or(0)) * 64];
            let names = (name(detail), name(detail >> 2));
            chain.push(forged::certificate_with(
                detail >> 5,
                detail & 16 != 0,
                names,
                &padding,
            ));
        }
        4 => chain.push(script.bytes(usize::from(detail))),
        // Many copies of the last one.
        5 => {
            let last = chain.last().cloned().unwrap_or_default();
            let free = MAX_CERTIFICATES - chain.len();
            chain.extend(std::iter::repeat_n(last, usize::from(detail).min(free)));
        }
        6 => {
            if let Some(last) = chain.last_mut().filter(|last| !last.is_empty()) {
                let offset = usize::from(detail) * last.len() / 256;
                last[offset] ^= script.byte().unwrap_or(0) | 1;
            }
        }
        _ => {
            if let Some(last) = chain.last_mut() {
                last.truncate(usize::from(detail) * 4);
            }
        }
    }
}

/// The maximum number of certificates, enough to exceed every bound.
const MAX_CERTIFICATES: usize = 2000;

const HOST: &str = "server.example";
const ROOT: &str = "root";

/// A connector, and a valid chain.
struct Setup {
    connector: Connector,
    /// The server's certificate, two intermediate CAs, and the trusted root.
    chain: Vec<Vec<u8>>,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let issue_ca = |name: &str, above: Option<&Issuer<'static, KeyPair>>| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = match above {
            None => params.self_signed(&key),
            Some(issuer) => params.signed_by(&key, issuer),
        };
        let der = cert.expect("a certificate").der().to_vec();
        (Issuer::new(params, key), der)
    };
    let (root, root_der) = issue_ca(ROOT, None);
    let (upper, upper_der) = issue_ca("x", Some(&root));
    let (lower, lower_der) = issue_ca("y", Some(&upper));
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let leaf = params.signed_by(&key, &lower).expect("a certificate");
    let trust = TrustStore::empty()
        .with_root_cert(&root_der)
        .expect("a root");
    Setup {
        connector: Connector::new(trust, true),
        chain: vec![leaf.der().to_vec(), lower_der, upper_der, root_der],
    }
});
