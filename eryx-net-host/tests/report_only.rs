//! Tests of the report-only mode, in which denials are reported but not enforced.

mod support;

use eryx_net_host::{CloseReason, EventKind, Family, NetConfig, NetError, Recorder};
use eryx_testkit::Behaviour;
use support::*;

/// Returns the reasons of the denials that were only reported.
fn would_deny(recorder: &Recorder) -> Vec<&'static str> {
    recorder
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::WouldDeny { verdict } => Some(verdict.reason().as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn report_only_denies_nothing_and_emits_every_verdict() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let (allowed, hidden) = ("secure.test", "other.test");
    let config = NetConfig::default()
        .with_allowed_hosts([hidden])
        .and_then(|config| config.with_root_cert(fixture.authority.pem().as_bytes()))
        .expect("valid")
        .with_resolver(fixture.resolver.clone())
        .with_report_only(true);
    let (network, recorder) = recorded(&config);
    assert!(
        config.check("127.0.0.1", 80).is_denied(),
        "the policy itself denies it"
    );

    // The name is not on the allow list, its address is blocked, and the server name is not allowed
    // either.
    let mut connection = connected(&network, allowed, peer.port()).await;
    within_timeout(connection.start_tls(&settings(), None))
        .await
        .expect("the handshake succeeds");
    send(&mut connection, b"hi").await;
    assert_eq!(
        within_timeout(connection.read(9, None)).await,
        Ok(b"hi".to_vec())
    );
    drop(connection);
    assert_eq!(would_deny(&recorder), ["host-not-allowed"; 3]);
    assert!(!kinds(&recorder.events()).contains(&"denied"));
    let report = network.report().connections.remove(0);
    assert_eq!(report.addresses, [ip("127.0.0.1")]);
    assert!(report.verdict.expect("checked").is_denied());
    assert_eq!(report.close_reason, Some(CloseReason::LocalClose));

    // A lookup, and a connection to its address.
    let mut lookup = network.lookup(allowed, None, Family::Any).expect("allowed");
    assert_eq!(
        within_timeout(lookup.finish(None)).await,
        Ok(vec![ip("127.0.0.1")])
    );
    connected(&network, "127.0.0.1", peer.port()).await;

    // Blocked addresses of a name that may be resolved.
    let config = NetConfig::default()
        .with_resolver(fixture.resolver.clone())
        .with_report_only(true);
    let (network, recorder) = recorded(&config);
    connected(&network, allowed, peer.port()).await;
    assert_eq!(would_deny(&recorder), ["address-blocked"]);
}

#[tokio::test]
async fn malformed_hosts_fail_even_in_report_only_mode() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let config = fixture.config().with_report_only(true);
    let (network, recorder) = recorded(&config);
    for host in ["127.1", "0x7f000001", "a b", "", "[::1"] {
        let denied = network.connect(host, peer.port());
        assert!(matches!(denied, Err(NetError::Denied(_))), "{host}");
    }
    assert!(
        kinds(&recorder.events())
            .iter()
            .all(|kind| *kind == "denied" || *kind == "closed")
    );
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    let odd = eryx_net_host::tls::ClientSettings::for_name("127.1");
    let outcome = within_timeout(connection.start_tls(&odd, None)).await;
    assert!(matches!(outcome, Err(NetError::Denied(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_tls_session_with_a_denied_server_name_emits_an_event() {
    let fixture = TlsFixture::new();
    let config = fixture
        .config()
        .with_allowed_hosts(["other.test"])
        .expect("valid");
    let (network, recorder) = recorded(&config);
    let denied = network.tls_session(&settings());
    assert!(matches!(denied, Err(NetError::Denied(_))));
    assert_eq!(kinds(&recorder.events()), ["denied"]);
    let report = network.take_report().connections.remove(0);
    assert_eq!(report.activity.as_str(), "tls-session");
    assert_eq!(report.host, "secure.test");
    assert_eq!(report.close_reason, Some(CloseReason::Denied));

    let (network, recorder) = recorded(&config.with_report_only(true));
    assert!(network.tls_session(&settings()).is_ok());
    assert_eq!(would_deny(&recorder), ["host-not-allowed"]);
    assert_eq!(network.take_report().connections.len(), 1);
    assert!(
        network.take_report().connections.is_empty(),
        "it is finished"
    );
}
