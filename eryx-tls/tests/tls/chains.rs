//! Tests of certificate chains that are made to cause much work.

use std::task::Poll;
use std::time::SystemTime;

use eryx_testkit::forged;
use eryx_tls::{
    ClientSettings, Connector, PathSearchCost, Session, TlsError, TrustStore, Version, limits,
};
use rustls::version::{TLS12, TLS13};

use crate::peer::{CertificateAuthority, HOST, handshake_error, run_handshake};

const TOO_LONG: (u32, &str) = (22, "certificate chain too long");

/// Returns a leaf, this many CAs that could all be each other's issuer, and `copies` of `filler`.
fn bomb(authorities: u8, filler: &[u8], copies: usize) -> Vec<Vec<u8>> {
    let leaf = std::iter::once(forged::certificate(0, false));
    let authorities = (1..=authorities).map(|key| forged::certificate(key, true));
    let fillers = std::iter::repeat_n(filler.to_vec(), copies);
    leaf.chain(authorities).chain(fillers).collect()
}

fn verify(connector: &Connector, chain: &[Vec<u8>]) -> Result<PathSearchCost, (u32, String)> {
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let settings = ClientSettings::for_name(HOST);
    let (cost, outcome) = connector.verify_chain(&settings, &chain, SystemTime::now());
    let max = PathSearchCost::MAX;
    assert!(cost.certificates <= max.certificates && cost.steps <= max.steps);
    assert!(cost.parsed_bytes <= max.parsed_bytes && cost.signatures <= max.signatures);
    match outcome {
        Ok(()) => Ok(cost),
        Err(TlsError::Certificate { code, message }) => Err((code, message)),
        Err(other) => panic!("not a certificate error: {other:?}"),
    }
}

fn session_error(session: &mut Session) -> (u32, String) {
    match session.handshake() {
        Poll::Ready(Err(TlsError::Certificate { code, message })) => (code, message),
        other => panic!("not a certificate error: {other:?}"),
    }
}

#[test]
fn a_flight_of_mutually_issuing_certificates_fails_with_chain_too_long() {
    let connector = Connector::new(TrustStore::webpki(), false);
    let cases = [
        bomb(9, b"", 20_000),
        bomb(9, b"\x30", 10_000),
        bomb(9, b"", 0),
        bomb(5, b"", 0),
        bomb(0, b"\x30", 16),
        bomb(3, &forged::certificate(9, true), 15),
    ];
    for chain in cases {
        let mut session = connector.session(&ClientSettings::for_name(HOST)).unwrap();
        session.take(usize::MAX);
        let mut flight = forged::flight(&chain).into_iter().collect::<Vec<_>>();
        while !flight.is_empty() && session.handshake().is_pending() {
            let taken = session.feed(&flight).unwrap();
            flight.drain(..taken);
        }
        let (code, message) = session_error(&mut session);
        assert_eq!((code, message.as_str()), TOO_LONG, "{}", chain.len());
    }
}

#[test]
fn an_empty_certificate_is_rejected_at_any_position() {
    let connector = Connector::new(TrustStore::webpki(), false);
    for chain in [vec![vec![]], bomb(1, b"", 1)] {
        assert_eq!(verify(&connector, &chain).unwrap_err().0, 1);
    }
}

#[test]
fn cas_of_one_name_are_tried_in_every_order_only_up_to_four() {
    let connector = Connector::new(TrustStore::webpki(), false);
    for authorities in 0..=20 {
        let (code, _) = verify(&connector, &bomb(authorities, b"", 0)).unwrap_err();
        // The sums of k! / (k - n)! are 1, 2, 5, 16 and 65, and then 326.
        assert_eq!(
            code,
            if authorities <= 4 { 18 } else { 22 },
            "{authorities}"
        );
    }
}

#[test]
fn the_limit_of_parsed_bytes_rejects_chains_of_large_certificates() {
    let connector = Connector::new(TrustStore::webpki(), false);
    let chain = |padding: usize| {
        let padding = vec![0; padding];
        let mut chain = vec![forged::certificate(0, false)];
        chain.extend((1..=4).map(|key| forged::certificate_with(key, true, ("x", "x"), &padding)));
        chain
    };
    assert_eq!(verify(&connector, &chain(1000)).unwrap_err().0, 18);
    assert_eq!(verify(&connector, &chain(8000)).unwrap_err().0, 22);
}

#[test]
fn a_linear_chain_takes_one_step_for_each_certificate() {
    let root = CertificateAuthority::new();
    let mut issuer = &root;
    let mut intermediates = Vec::new();
    for _ in 0..4 {
        intermediates.push(issuer.intermediate());
        issuer = intermediates.last().unwrap();
    }
    let leaf = issuer.issue(&[HOST]);
    let mut chain: Vec<Vec<u8>> = vec![leaf.chain[0].to_vec()];
    chain.extend(
        intermediates
            .iter()
            .rev()
            .map(|authority| authority.cert.to_vec()),
    );
    let cost = verify(&root.connector(), &chain).unwrap();
    assert_eq!(cost.certificates, 5);
    assert_eq!(cost.steps, 5);
    assert_eq!(cost.signatures, 5);
    assert_eq!(
        cost.parsed_bytes,
        5 * chain[1..].iter().map(Vec::len).sum::<usize>()
    );
}

#[test]
fn an_unordered_chain_with_unrelated_certificates_is_accepted() {
    let root = CertificateAuthority::new();
    let upper = root.intermediate();
    let lower = upper.intermediate();
    let unrelated: Vec<_> = (0..5).map(|_| CertificateAuthority::new()).collect();
    let leaf = lower.issue(&[HOST]);
    let mut chain = vec![leaf.chain[0].to_vec(), root.cert.to_vec()];
    chain.extend(unrelated.iter().map(|authority| authority.cert.to_vec()));
    chain.extend([upper.cert.to_vec(), b"no certificate".to_vec()]);
    chain.extend([
        lower.cert.to_vec(),
        upper.cert.to_vec(),
        lower.cert.to_vec(),
    ]);
    chain.push(leaf.chain[0].to_vec());
    assert!(chain.len() <= limits::MAX_PEER_CHAIN);
    let cost = verify(&root.connector(), &chain).unwrap();
    assert_eq!(cost.steps, 3, "only the certificates of the path");
}

#[tokio::test]
async fn a_peer_chain_over_the_limit_is_rejected_with_and_without_verification() {
    let authority = CertificateAuthority::new();
    let connector = Connector::new(authority.trust(), true);
    let mut leaf = authority.issue(&[HOST]);
    let enough = limits::MAX_PEER_CHAIN - leaf.chain.len();
    let more = (0..enough).map(|_| CertificateAuthority::new().cert);
    leaf.chain.extend(more);
    let verified = ClientSettings::for_name(HOST);
    let unverified = ClientSettings {
        verify_peer: false,
        check_hostname: false,
        ..verified.clone()
    };
    for settings in [&verified, &unverified] {
        for version in [&TLS12, &TLS13] {
            let server = leaf.server_with(&[version]);
            let (client, _) = run_handshake(&connector, settings, server, 1 << 16).await;
            let client = client.unwrap();
            assert_eq!(client.info().peer_chain.len(), limits::MAX_PEER_CHAIN);
            assert_eq!(client.info().version == Version::Tls12, *version == TLS12);
        }
    }
    leaf.chain.push(CertificateAuthority::new().cert);
    for settings in [&verified, &unverified] {
        for version in [&TLS12, &TLS13] {
            match handshake_error(&connector, settings, leaf.server_with(&[version])).await {
                TlsError::Certificate { code, message } => {
                    assert_eq!((code, message.as_str()), TOO_LONG);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
