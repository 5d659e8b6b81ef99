//! Tunnels: connections through a proxy of the program, whose target Eryx does not see.

use eryx_net_host::{Connection, Network};

use crate::support::http::{
    Origin, authorization, denial, get_only, handshake, response, rule, secret, session_connected,
    session_write, write,
};
use crate::support::{connected, send, settings, within_timeout};
use crate::{relay_to, request};

#[tokio::test]
async fn a_request_in_a_tunnel_cannot_name_another_port_to_avoid_a_rule() {
    let origin = Origin::new().await;
    let port = origin.port();
    let rule = rule(&format!("secure.test:{port}"))
        .with_methods(["GET"])
        .expect("methods");
    let network = origin.network_with_rule(rule);
    let relay = relay_to(port).await;
    for named in [port, relay, 443] {
        let (mut connection, mut session) = session_connected(&network, "other.test", relay).await;
        let get = request("GET", named, "");
        session_write(&mut connection, &mut session, &get)
            .await
            .expect("allowed on each port");
        let delete = request("DELETE", named, "");
        let message = denial(session_write(&mut connection, &mut session, &delete).await);
        assert!(message.contains("DELETE"), "{message}");
    }
}

#[tokio::test]
async fn a_secret_for_one_port_is_not_sent_through_a_tunnel() {
    let origin = Origin::new().await;
    let port = origin.port();
    let secret = secret(&format!("secure.test:{port}"));
    let network = origin.network_with(secret);
    let fields = authorization(&network);
    let relay = relay_to(port).await;
    let (mut connection, mut session) = session_connected(&network, "other.test", relay).await;
    let get = request("GET", port, &fields);
    let message = denial(session_write(&mut connection, &mut session, &get).await);
    assert!(message.contains("port"), "{message}");
    // On a connection to the host itself the port is known.
    let (mut connection, mut session) = session_connected(&network, "secure.test", port).await;
    session_write(&mut connection, &mut session, &get)
        .await
        .expect("allowed");
}

/// Connects through the relay on port `relay`, and begins TLS with the server behind it, as clients
/// without asyncio do with a proxy.
async fn tls_through(network: &Network, relay: u16) -> Connection {
    let mut connection = connected(network, "other.test", relay).await;
    within_timeout(connection.start_tls(&settings(), None))
        .await
        .expect("TLS");
    connection
}

#[tokio::test]
async fn tls_on_a_connection_to_a_proxy_of_the_program_is_a_tunnel() {
    let origin = Origin::new().await;
    let port = origin.port();
    let relay = relay_to(port).await;
    for host in [format!("secure.test:{port}"), "secure.test".to_owned()] {
        let rule = rule(&host).with_methods(["GET"]).expect("methods");
        let network = origin.network_with_rule(rule);
        let mut connection = tls_through(&network, relay).await;
        for named in [format!(":{port}"), format!(":{relay}"), String::new()] {
            let get = format!("GET / HTTP/1.1\r\nHost: secure.test{named}\r\n\r\n");
            write(&mut connection, &get)
                .await
                .expect("allowed on each port");
            response(&mut connection).await.expect("a response");
        }
        let urls: Vec<String> = network
            .report()
            .requests
            .iter()
            .map(|r| r.url.clone())
            .collect();
        assert_eq!(urls[0], format!("https://secure.test:{port}/"));
        assert_eq!(urls[2], "https://secure.test/");
        for named in [port, relay, 443] {
            let mut connection = tls_through(&network, relay).await;
            let outcome = write(&mut connection, &request("DELETE", named, "")).await;
            assert!(denial(outcome).contains("DELETE"));
        }
    }
    assert!(!origin.server.text().contains("DELETE"));
    let secret = secret(&format!("secure.test:{port}"));
    let network = origin.network_with(secret);
    let mut connection = tls_through(&network, relay).await;
    let fields = authorization(&network);
    let outcome = write(&mut connection, &request("GET", port, &fields)).await;
    assert!(denial(outcome).contains("port"));
}

#[tokio::test]
async fn a_session_that_is_bound_to_one_port_and_carried_to_another_is_a_tunnel() {
    let origin = Origin::new().await;
    let decoy = Origin::new().await;
    let port = origin.port();
    let strict = rule(&format!("secure.test:{port}"))
        .with_methods(["GET"])
        .expect("methods");
    let lenient = rule(&format!("secure.test:{}", decoy.port()))
        .with_methods(["GET", "DELETE"])
        .expect("methods");
    let config = origin.config.with_http_rule(strict).expect("a rule");
    let network = Network::new(&config.with_http_rule(lenient).expect("a rule"));
    let relay = relay_to(port).await;
    let mut tunnel = connected(&network, "other.test", relay).await;
    let mut bound = connected(&network, "secure.test", decoy.port()).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    // The program writes the ClientHello to both, and continues with the tunnel.
    let hello = session.take(usize::MAX);
    send(&mut bound, &hello).await;
    send(&mut tunnel, &hello).await;
    handshake(&mut tunnel, &mut session).await;
    let delete = request("DELETE", decoy.port(), "");
    denial(session_write(&mut tunnel, &mut session, &delete).await);
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn a_denial_in_a_tunnel_is_an_error_because_no_transport_can_be_woken() {
    let origin = Origin::new().await;
    let network = origin.network_with_responses(get_only());
    let relay = relay_to(origin.port()).await;
    let (mut connection, mut session) = session_connected(&network, "other.test", relay).await;
    let delete = request("DELETE", origin.port(), "");
    denial(session_write(&mut connection, &mut session, &delete).await);
}
