//! Chains made to keep whoever verifies them busy.

use std::task::Poll;
use std::time::SystemTime;

use eryx_testkit::forged;
use eryx_tls::{ClientSettings, Connector, Effort, Session, TlsError, TrustStore, Version, limits};
use rustls::version::{TLS12, TLS13};

use crate::peer::{Authority, HOST, failure, meet};

const TOO_LONG: (u32, &str) = (22, "certificate chain too long");

/// A leaf, this many authorities that could all be the issuer of each other, and as many copies of `filler`.
fn bomb(authorities: u8, filler: &[u8], copies: usize) -> Vec<Vec<u8>> {
    let leaf = std::iter::once(forged::certificate(0, false));
    let authorities = (1..=authorities).map(|key| forged::certificate(key, true));
    let fillers = std::iter::repeat_n(filler.to_vec(), copies);
    leaf.chain(authorities).chain(fillers).collect()
}

fn judge(connector: &Connector, chain: &[Vec<u8>]) -> Result<Effort, (u32, String)> {
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let settings = ClientSettings::for_name(HOST);
    let (effort, outcome) = connector.judge_chain(&settings, &chain, SystemTime::now());
    let most = Effort::MOST;
    assert!(effort.certificates <= most.certificates && effort.steps <= most.steps);
    assert!(effort.parsed <= most.parsed && effort.signatures <= most.signatures);
    match outcome {
        Ok(()) => Ok(effort),
        Err(TlsError::Certificate { code, message }) => Err((code, message)),
        Err(other) => panic!("not about the chain: {other:?}"),
    }
}

fn handshake_error(session: &mut Session) -> (u32, String) {
    match session.handshake() {
        Poll::Ready(Err(TlsError::Certificate { code, message })) => (code, message),
        other => panic!("not about the chain: {other:?}"),
    }
}

#[test]
fn a_flight_of_certificates_that_fit_each_other_fails_a_session_with_chain_too_long() {
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
        let (code, message) = handshake_error(&mut session);
        assert_eq!((code, message.as_str()), TOO_LONG, "{}", chain.len());
    }
}

#[test]
fn an_empty_certificate_is_refused_wherever_it_is() {
    let connector = Connector::new(TrustStore::webpki(), false);
    for chain in [vec![vec![]], bomb(1, b"", 1)] {
        assert_eq!(judge(&connector, &chain).unwrap_err().0, 1);
    }
}

#[test]
fn authorities_of_one_name_are_tried_in_every_order_only_while_these_are_few() {
    let connector = Connector::new(TrustStore::webpki(), false);
    for authorities in 0..=20 {
        let (code, _) = judge(&connector, &bomb(authorities, b"", 0)).unwrap_err();
        // The sums of k! / (k - n)! are 1, 2, 5, 16 and 65, and then 326.
        assert_eq!(
            code,
            if authorities <= 4 { 18 } else { 22 },
            "{authorities}"
        );
    }
}

#[test]
fn large_certificates_are_parsed_fewer_times() {
    let connector = Connector::new(TrustStore::webpki(), false);
    let chain = |padding: usize| {
        let padding = vec![0; padding];
        let mut chain = vec![forged::certificate(0, false)];
        chain.extend((1..=4).map(|key| forged::certificate_with(key, true, ("x", "x"), &padding)));
        chain
    };
    assert_eq!(judge(&connector, &chain(1000)).unwrap_err().0, 18);
    assert_eq!(judge(&connector, &chain(8000)).unwrap_err().0, 22);
}

#[test]
fn a_chain_without_detours_takes_one_step_for_each_certificate() {
    let root = Authority::new();
    let mut issuer = &root;
    let mut between = Vec::new();
    for _ in 0..4 {
        between.push(issuer.authority());
        issuer = between.last().unwrap();
    }
    let leaf = issuer.issue(&[HOST]);
    let mut chain: Vec<Vec<u8>> = vec![leaf.chain[0].to_vec()];
    chain.extend(
        between
            .iter()
            .rev()
            .map(|authority| authority.cert.to_vec()),
    );
    let effort = judge(&root.connector(), &chain).unwrap();
    assert_eq!(effort.certificates, 5);
    assert_eq!(effort.steps, 5);
    assert_eq!(effort.signatures, 5);
    assert_eq!(
        effort.parsed,
        5 * chain[1..].iter().map(Vec::len).sum::<usize>()
    );
}

#[test]
fn a_server_that_sends_its_chain_out_of_order_and_more_than_it_is_accepted() {
    let root = Authority::new();
    let one = root.authority();
    let other = one.authority();
    let unrelated: Vec<_> = (0..5).map(|_| Authority::new()).collect();
    let leaf = other.issue(&[HOST]);
    let mut chain = vec![leaf.chain[0].to_vec(), root.cert.to_vec()];
    chain.extend(unrelated.iter().map(|authority| authority.cert.to_vec()));
    chain.extend([one.cert.to_vec(), b"no certificate".to_vec()]);
    chain.extend([other.cert.to_vec(), one.cert.to_vec(), other.cert.to_vec()]);
    chain.push(leaf.chain[0].to_vec());
    assert!(chain.len() <= limits::PEER_CHAIN);
    let effort = judge(&root.connector(), &chain).unwrap();
    assert_eq!(effort.steps, 3, "only what leads from the leaf to the root");
}

#[tokio::test]
async fn a_peer_with_more_certificates_than_servers_send_is_refused_whatever_is_verified() {
    let authority = Authority::new();
    let connector = Connector::new(authority.trust(), true);
    let mut leaf = authority.issue(&[HOST]);
    let enough = limits::PEER_CHAIN - leaf.chain.len();
    let more = (0..enough).map(|_| Authority::new().cert);
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
            let (client, _) = meet(&connector, settings, server, 1 << 16).await;
            let client = client.unwrap();
            assert_eq!(client.info().peer_chain.len(), limits::PEER_CHAIN);
            assert_eq!(client.info().version == Version::Tls12, *version == TLS12);
        }
    }
    leaf.chain.push(Authority::new().cert);
    for settings in [&verified, &unverified] {
        for version in [&TLS12, &TLS13] {
            match failure(&connector, settings, leaf.server_with(&[version])).await {
                TlsError::Certificate { code, message } => {
                    assert_eq!((code, message.as_str()), TOO_LONG);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
