//! Addresses and missing names in place of the server name of an inspected host.

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Family, Network};
use eryx_testkit::{Leaf, RequestRecorder};

use crate::support::http::{
    Origin, SECRET, denial, exchange, get_only, handshake, placeholder, rule, secret,
    session_connected, session_write, write,
};
use crate::support::{TlsFixture, connected, settings, within_timeout};
use crate::{relay_to, request};

/// Looks up `name`, so that its addresses count as the name.
async fn look_up(network: &Network, name: &str, port: u16) {
    let mut lookup = network
        .lookup(name, Some(port), Family::Any)
        .expect("allowed");
    within_timeout(lookup.finish(None))
        .await
        .expect("addresses");
}

#[tokio::test]
async fn tls_without_a_server_name_is_inspected_where_one_name_of_the_address_is() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(get_only())
        .expect("a rule")
        .allow_unverified_tls(true);
    let network = Network::new(&config);
    let port = origin.port();
    look_up(&network, "secure.test", port).await;
    look_up(&network, "other.test", port).await;
    let mut connection = connected(&network, "127.0.0.1", port).await;
    let settings = ClientSettings {
        server_name: None,
        verify_peer: false,
        check_hostname: false,
        ..settings()
    };
    within_timeout(connection.start_tls(&settings, None))
        .await
        .expect("TLS");
    denial(write(&mut connection, &request("DELETE", port, "")).await);
    assert_eq!(origin.server.text(), "");
}

/// Starts a server whose certificate is for `secure.test` and for 127.0.0.1.
async fn origin_with_address() -> Origin {
    let fixture = TlsFixture::new();
    let leaf = Leaf::server(["secure.test", "127.0.0.1"]);
    let identity = fixture.authority.issue(&leaf).expect("an identity");
    let server = RequestRecorder::tls(&identity, |_| RequestRecorder::ok("")).await;
    Origin {
        server: server.expect("a server"),
        config: fixture.config(),
    }
}

/// Returns the settings of TLS with an address as server name.
fn address_settings(verify_peer: bool) -> ClientSettings {
    ClientSettings {
        verify_peer,
        check_hostname: verify_peer,
        ..ClientSettings::for_name("127.0.0.1")
    }
}

/// Returns a network with a rule and a secret for `secure.test`, which records all hosts.
fn guarded(origin: &Origin) -> Network {
    let config = origin
        .config
        .with_http_rule(get_only())
        .and_then(|config| config.with_secret(secret("secure.test")))
        .and_then(|config| config.with_inspected_host("*"))
        .expect("settings");
    Network::new(&config.allow_unverified_tls(true))
}

#[tokio::test]
async fn an_address_as_server_name_does_not_avoid_the_rules_and_secrets_of_its_name() {
    let origin = origin_with_address().await;
    let port = origin.port();
    for verify_peer in [true, false] {
        let settings = address_settings(verify_peer);
        let network = guarded(&origin);
        look_up(&network, "secure.test", port).await;
        look_up(&network, "other.test", port).await;
        let p = placeholder(&network);
        for (method, fields, reason) in [
            ("DELETE", String::new(), "DELETE"),
            ("GET", format!("Authorization: {p}\r\n"), "verified"),
        ] {
            let text = request(method, port, &fields);
            let mut connection = connected(&network, "127.0.0.1", port).await;
            within_timeout(connection.start_tls(&settings, None))
                .await
                .expect("TLS");
            let message = denial(write(&mut connection, &text).await);
            assert!(message.contains(reason), "{verify_peer}: {message}");
            // TLS over transports of the program: to the address, and in a tunnel.
            let relay = relay_to(port).await;
            for (host, port) in [("127.0.0.1", port), ("other.test", relay)] {
                let mut connection = connected(&network, host, port).await;
                let mut session = network.tls_session(&settings).expect("allowed");
                handshake(&mut connection, &mut session).await;
                let outcome = session_write(&mut connection, &mut session, &text).await;
                let message = denial(outcome);
                assert!(message.contains(reason), "{host} {verify_peer}: {message}");
            }
        }
        let mut connection = connected(&network, "127.0.0.1", port).await;
        within_timeout(connection.start_tls(&settings, None))
            .await
            .expect("TLS");
        exchange(&mut connection, &request("GET", port, "")).await;
    }
    assert!(!origin.server.text().contains("DELETE") && !origin.server.text().contains(SECRET));
}

#[tokio::test]
async fn a_session_that_names_an_address_before_the_lookup_of_its_name_does_not_reach_the_name() {
    let origin = origin_with_address().await;
    let port = origin.port();
    let network = guarded(&origin);
    let mut session = network
        .tls_session(&address_settings(true))
        .expect("allowed");
    look_up(&network, "secure.test", port).await;
    let mut connection = connected(&network, "127.0.0.1", port).await;
    let hello = session.take(usize::MAX);
    let message = denial(within_timeout(connection.write(&hello, None)).await);
    assert!(
        message.contains("`secure.test` as server name"),
        "{message}"
    );
}

#[tokio::test]
async fn a_rule_for_an_address_holds_for_sessions_over_the_programs_transport_as_well() {
    let origin = Origin::new().await;
    let port = origin.port();
    let rule = rule(&format!("127.0.0.1:{port}"))
        .with_methods(["GET"])
        .expect("methods");
    let config = origin.config.with_http_rule(rule).expect("a rule");
    // Each makes the session one that is inspected.
    for config in [
        config.with_inspected_host("*").expect("a pattern"),
        config.with_secret(secret("secure.test")).expect("a secret"),
    ] {
        let network = Network::new(&config);
        let (mut connection, mut session) = session_connected(&network, "secure.test", port).await;
        let get = request("GET", port, "");
        session_write(&mut connection, &mut session, &get)
            .await
            .expect("allowed");
        let delete = request("DELETE", port, "");
        let message = denial(session_write(&mut connection, &mut session, &delete).await);
        assert!(message.contains("DELETE"), "{message}");
    }
    assert!(!origin.server.text().contains("DELETE"));
}
