//! Certificate chains, as a peer sends them before it has proved anything.

use std::{sync::LazyLock, time::SystemTime};

use eryx_tls::{ClientSettings, Connector, Effort, Revocation, TlsError, TrustStore, limits};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{forged, script::Script};

/// Judges the chain that a script makes, and holds the search for a path to its bounds.
pub fn run(script: &[u8]) {
    let mut script = Script::new(script);
    let Some(kind) = script.byte() else {
        return;
    };
    let mut chain = Vec::new();
    while let Some(what) = script.byte()
        && chain.len() < CERTIFICATES
    {
        add(&mut chain, what, &mut script);
    }
    let settings = ClientSettings {
        strict: kind & 1 != 0,
        revocation: (kind & 2 != 0).then_some(Revocation::Chain),
        check_hostname: kind & 4 == 0,
        verify_peer: kind & 12 != 12,
        ..ClientSettings::for_name(HOST)
    };
    let known = &*KNOWN;
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let (effort, outcome) = known
        .connector
        .judge_chain(&settings, &chain, SystemTime::now());
    let most = Effort::MOST;
    assert!(effort.certificates <= most.certificates, "{effort:?}");
    assert!(effort.steps <= most.steps, "{effort:?}");
    assert!(effort.parsed <= most.parsed, "{effort:?}");
    assert!(effort.signatures <= most.signatures, "{effort:?}");
    match outcome {
        Ok(()) if settings.verify_peer => {
            assert!(settings.revocation.is_none(), "nothing is in no list");
            assert!(chain.len() <= limits::PEER_CHAIN);
            // The root may present itself.
            assert!(chain[0] == known.chain[0] || chain[0] == known.chain[3]);
        }
        Ok(()) => {}
        Err(TlsError::Certificate { code, .. }) => assert_ne!(code, 0),
        Err(error) => assert!(chain.is_empty(), "{error}"),
    }
}

fn add(chain: &mut Vec<Vec<u8>>, what: u8, script: &mut Script<'_>) {
    let detail = script.byte().unwrap_or(0);
    match what % 8 {
        // One of a chain that is good.
        0 | 1 => chain.push(KNOWN.chain[usize::from(detail) % KNOWN.chain.len()].clone()),
        // One that fits others, by its names.
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
        // The last one again, many times over.
        5 => {
            let last = chain.last().cloned().unwrap_or_default();
            let room = CERTIFICATES - chain.len();
            chain.extend(std::iter::repeat_n(last, usize::from(detail).min(room)));
        }
        6 => {
            if let Some(last) = chain.last_mut().filter(|last| !last.is_empty()) {
                let at = usize::from(detail) * last.len() / 256;
                last[at] ^= script.byte().unwrap_or(0) | 1;
            }
        }
        _ => {
            if let Some(last) = chain.last_mut() {
                last.truncate(usize::from(detail) * 4);
            }
        }
    }
}

/// More than a script needs to exceed every bound.
const CERTIFICATES: usize = 2000;

const HOST: &str = "server.example";
const ROOT: &str = "root";

struct Known {
    connector: Connector,
    /// The server's own certificate, two authorities, and the root, which is trusted.
    chain: Vec<Vec<u8>>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let authority = |name: &str, above: Option<&Issuer<'static, KeyPair>>| {
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
    let (root, root_der) = authority(ROOT, None);
    let (upper, upper_der) = authority("x", Some(&root));
    let (lower, lower_der) = authority("y", Some(&upper));
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let leaf = params.signed_by(&key, &lower).expect("a certificate");
    let trust = TrustStore::empty()
        .with_root_cert(&root_der)
        .expect("a root");
    Known {
        connector: Connector::new(trust, true),
        chain: vec![leaf.der().to_vec(), lower_der, upper_der, root_der],
    }
});
