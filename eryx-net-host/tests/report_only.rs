//! Tests of the report-only mode, in which denials are reported but not enforced.

mod support;

use std::time::Duration;

use eryx_net_host::policy::SecretBinding;
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    CloseReason, EventKind, Family, NetConfig, NetError, Network, Recorder, Secret,
};
use eryx_testkit::Behaviour;
use support::http::{
    Origin, SECRET, denial, get, get_only, response, secret, session_echo, session_write, write,
};
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

/// Returns the last error of the request log, which is about a request that goes on.
fn reported(network: &Network) -> String {
    let log = network.report().requests;
    let error = log.last().and_then(|request| request.error.clone());
    let error = error.expect("the reason");
    let reasons = error.strip_prefix("goes on, report_only is set: ");
    reasons.expect("it goes on").to_owned()
}

#[tokio::test]
async fn a_misplaced_placeholder_keeps_no_other_from_being_replaced_or_reported() {
    const KEY: &str = "another secret with more than 24 characters";
    let origin = Origin::new().await;
    let binding = SecretBinding::new("KEY", ["secure.test".parse().expect("a pattern")])
        .and_then(|binding| binding.with_headers(["x-api-key"]))
        .and_then(|binding| binding.with_query(["key"]))
        .expect("a binding");
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .and_then(|config| config.with_secret(Secret::new(binding, KEY).expect("a value")))
        .expect("secrets")
        .with_report_only(true);
    let network = Network::new(&config);
    let port = origin.port();
    let environment = network.environment();
    let [(_, token), (_, key)] = &environment[..] else {
        panic!("two secrets");
    };
    let encoded = KEY.replace(' ', "%20");
    for (path, fields, body, expected, misplaced) in [
        // Each in its place, and in one that is not its own.
        (
            format!("/{key}?key={key}&q={key}&{key}"),
            format!(
                "X-Other: {token}\r\nAuthorization: Bearer {token}\r\nX-Api-Key: {key} {token}\r\n"
            ),
            String::new(),
            [
                format!("/{key}?key={encoded}&q={key}&{key} "),
                format!("X-Other: {token}\r\nAuthorization: Bearer {SECRET}\r\n"),
                format!("X-Api-Key: {KEY} {token}\r\n"),
            ],
            &["`X-Other`", "`X-Api-Key`", "the path", "parameter `q`"][..],
        ),
        // A field that is there twice stays as it is.
        (
            "/".to_owned(),
            format!("Authorization: a\r\nAuthorization: {token}\r\nX-Api-Key: {key}\r\n"),
            String::new(),
            [
                format!("Authorization: a\r\nAuthorization: {token}\r\n"),
                format!("X-Api-Key: {KEY}\r\n"),
                String::new(),
            ],
            &["more than once"],
        ),
        // Bodies and trailers are searched to their ends.
        (
            "/".to_owned(),
            format!("Authorization: {token}\r\nTransfer-Encoding: chunked\r\n"),
            format!(
                "{:x}\r\n{token}{token}{key}\r\n0\r\nA: {token}\r\nB: {key}\r\n\r\n",
                2 * token.len() + key.len()
            ),
            [
                format!("Authorization: {SECRET}\r\n"),
                format!("{token}{token}{key}\r\n"),
                format!("A: {token}\r\nB: {key}\r\n"),
            ],
            &[
                "the body has the placeholder of the secret `TOKEN`",
                "the body has the placeholder of the secret `KEY`",
                "a trailer field has the placeholder of the secret `TOKEN`",
                "a trailer field has the placeholder of the secret `KEY`",
            ],
        ),
    ] {
        let before = origin.server.text().len();
        let mut connection = tls_connected(&network, port).await;
        let head = get(&path, port, &fields);
        let head = match body.is_empty() {
            true => head,
            false => head.replacen("GET", "POST", 1),
        };
        send(&mut connection, format!("{head}{body}").as_bytes()).await;
        // The server does not find the end of trailers.
        if body.is_empty() {
            let echoed = response(&mut connection).await.expect("a response");
            assert!(
                !echoed.contains(SECRET) && !echoed.contains(KEY),
                "{echoed}"
            );
        } else {
            let is_complete = || origin.server.text().ends_with(&format!("{key}\r\n\r\n"));
            within_timeout(async {
                while !is_complete() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
        }
        let received = origin.server.text()[before..].to_owned();
        for expected in expected {
            assert!(received.contains(&expected), "{expected} in {received}");
        }
        drop(connection);
        let error = reported(&network);
        for place in misplaced {
            assert_eq!(error.matches(place).count(), 1, "{place}: {error}");
        }
        assert_eq!(
            error.matches("has the placeholder").count(),
            misplaced.len()
        );
    }
}

/// Sends a request in TLS that is not of the network: of a session of another one.
async fn request_in_other_tls(origin: &Origin, network: &Network) -> Result<String, NetError> {
    let port = origin.port();
    let other = Network::new(&origin.config);
    let mut connection = connected(network, "secure.test", port).await;
    let mut session = other.tls_session(&settings()).expect("allowed");
    let request = get("/", port, "").replacen("GET", "DELETE", 1);
    support::http::transport(&mut connection, &mut session, async |s| {
        support::http::not_yet(s.handshake())
    })
    .await?;
    session_write(&mut connection, &mut session, &request).await?;
    Ok(session_echo(&mut connection, &mut session, request.len()).await)
}

#[tokio::test]
async fn tls_that_cannot_be_inspected_is_reported_where_it_cannot_bring_a_secret() {
    let origin = Origin::new().await;
    let rules = origin.config.with_http_rule(get_only()).expect("a rule");
    let network = Network::new(&rules.with_report_only(true));
    let echoed = request_in_other_tls(&origin, &network).await;
    assert!(echoed.expect("it passes").contains("DELETE / HTTP/1.1"));
    let error = reported(&network);
    assert!(
        error.contains("neither HTTP/1.1 nor TLS of the ssl module"),
        "{error}"
    );
    let log = network.report().requests;
    assert_eq!(log.len(), 1, "once for the connection: {log:?}");
    assert_eq!(
        log[0].url,
        format!("https://secure.test:{}/", origin.port())
    );

    // Sessions of the network are still inspected.
    let (mut connection, mut session) =
        support::http::session_connected(&network, "secure.test", origin.port()).await;
    let request = get("/", origin.port(), "");
    session_write(&mut connection, &mut session, &request)
        .await
        .expect("allowed");
    session_echo(&mut connection, &mut session, request.len()).await;
    let log = network.report().requests;
    assert_eq!(log.last().and_then(|request| request.status), Some(200));

    // What was sent on other connections is not searched for there.
    let secrets = rules.with_secret(secret("secure.test")).expect("a secret");
    let network = Network::new(&secrets.with_report_only(true));
    let received = origin.server.text();
    let message = denial(request_in_other_tls(&origin, &network).await);
    assert!(message.contains("neither HTTP/1.1 nor TLS"), "{message}");
    assert_eq!(origin.server.text(), received);
}

#[tokio::test]
async fn tls_with_another_server_name_is_reported_where_it_cannot_bring_a_secret() {
    let origin = Origin::new().await;
    let rules = origin.config.with_http_rule(get_only()).expect("a rule");
    let rules = rules.allow_unverified_tls(true).with_report_only(true);
    let secrets = rules.with_secret(secret("secure.test")).expect("a secret");
    let port = origin.port();
    let other = ClientSettings {
        verify_peer: false,
        check_hostname: false,
        ..ClientSettings::for_name("other.test")
    };
    let network = Network::new(&rules);
    let mut connection = connected(&network, "secure.test", port).await;
    within_timeout(connection.start_tls(&other, None))
        .await
        .expect("the handshake succeeds");
    let error = reported(&network);
    assert!(error.contains("the server name `other.test`"), "{error}");
    let request = get("/", port, "").replacen("GET", "DELETE", 1);
    write(&mut connection, &request).await.expect("passes");
    response(&mut connection).await.expect("a response");

    let network = Network::new(&secrets);
    let mut connection = connected(&network, "secure.test", port).await;
    let message = denial(within_timeout(connection.start_tls(&other, None)).await);
    assert!(
        message.contains("the server name `other.test`"),
        "{message}"
    );
}
