//! Ways in which a program could bring a secret out, or another host could get it.
//!
//! Most of them have a test elsewhere:
//!
//! - output, files, tracebacks, the environment, objects of the interpreter:
//!   `a_secret_is_nowhere_in_the_memory_of_the_sandbox`,
//!   `test_token_arrives_and_the_program_never_has_it`
//! - the report, events, HAR, errors:
//!   `a_secret_reaches_the_server_and_never_the_program`,
//!   `the_log_can_be_written_as_har`,
//!   `a_response_that_is_not_well_formed_does_not_bring_the_secret_to_the_program`
//! - another field, cookies, the path, the query, the body, chunks, trailers:
//!   `a_placeholder_in_another_place_denies_the_request`
//! - `Basic`, split writes:
//!   `a_secret_is_replaced_in_basic_credentials_however_the_request_is_split`
//! - pipelining:
//!   `tokens_of_requests_that_wait_for_responses_are_replaced_in_all_of_them`
//! - WebSocket:
//!   `a_secret_that_comes_over_websocket_is_replaced`
//! - HTTP/1.0, HTTP/0.9, HTTP/2:
//!   `http_2_is_not_offered_to_an_inspected_host`
//! - HTTP/3:
//!   `datagrams_to_an_inspected_host_are_denied`
//! - reflection in heads and bodies, compressed, encoded, in parts:
//!   `a_reflected_secret_is_replaced_however_the_response_is_framed_and_split`,
//!   `a_compressed_response_is_denied_where_a_secret_is_known`,
//!   `a_secret_is_replaced_as_servers_encode_it_in_json_html_and_urls`,
//!   `a_part_of_a_content_is_denied_where_a_value_is_known`
//! - what arrives early:
//!   `what_arrives_early_does_not_depend_on_the_secret`
//! - a raw socket, TLS of the program:
//!   `an_inspected_host_accepts_only_http_and_tls_of_the_host`,
//!   `test_tls_of_the_program_does_not_reach_an_inspected_host`

mod support;

use std::sync::Arc;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Family, NetError, Network, Secret};
use eryx_testkit::RequestRecorder;
use support::http::*;
use support::*;

fn authorization(placeholder: &str) -> String {
    format!("Authorization: Bearer {placeholder}\r\n")
}

#[tokio::test]
async fn another_host_in_host_or_as_server_name_does_not_get_the_secret() {
    let origin = Origin::new().await;
    let port = origin.port();
    let config = origin.config.with_secret(secret("secure.test"));
    let network = Network::new(&config.expect("a secret"));
    let p = placeholder(&network);
    for host in [
        "other.test",
        &p,
        &format!("{p}.secure.test"),
        "secure.test.",
        "secure.test:1",
    ] {
        let mut connection = tls_connected(&network, port).await;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
            authorization(&p)
        );
        let message = denial(write(&mut connection, &request).await);
        assert!(message.contains("`Host`"), "{message}");
    }
    for name in ["other.test", &format!("{p}.test")] {
        let mut connection = connected(&network, "secure.test", port).await;
        let settings = ClientSettings::for_name(name);
        let outcome = within_timeout(connection.start_tls(&settings, None)).await;
        assert!(matches!(outcome, Err(NetError::Denied(_))), "{outcome:?}");
    }
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn a_host_that_the_secret_is_not_for_gets_at_most_the_placeholder() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("")).await;
    let secret = Secret::new(PlainServer::binding(), SECRET).expect("a value");
    let config = server.config.with_secret(secret).expect("a secret");
    let request = |network: &Network| {
        let port = server.port;
        let fields = authorization(&placeholder(network));
        format!("GET / HTTP/1.1\r\nHost: other.test:{port}\r\n{fields}\r\n")
    };
    // Not inspected: the placeholder passes.
    let network = Network::new(&config);
    let mut connection = connected(&network, "other.test", server.port).await;
    write(&mut connection, &request(&network))
        .await
        .expect("sent as it is");
    response(&mut connection).await.expect("a response");
    assert_eq!(server.text(), request(&network));
    // Inspected: it denies the request.
    let config = config.with_http_rule(rule("other.test")).expect("a rule");
    let network = Network::new(&config);
    let mut connection = connected(&network, "other.test", server.port).await;
    denial(write(&mut connection, &request(&network)).await);
    assert!(!server.text().contains(SECRET));
}

#[tokio::test]
async fn a_redirect_with_the_secret_has_the_placeholder_for_the_program() {
    for location in [
        format!("https://other.test/{SECRET}"),
        format!("/login?next=a&token={SECRET}"),
    ] {
        let head =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = PlainServer::answering(false, move |_| head.clone().into()).await;
        let network = server.network_with_secret();
        let p = placeholder(&network);
        let mut connection = server.connected(&network).await;
        let request = server.get("/", &authorization(&p));
        let seen = exchange(&mut connection, &request).await;
        assert!(seen.contains(&location.replace(SECRET, &p)), "{seen}");
    }
}

#[tokio::test]
async fn a_name_server_gets_at_most_the_placeholder() {
    let resolver = Arc::new(ScriptedResolver::new());
    let config = loopback_config(&resolver).with_secret(secret("secure.test"));
    let network = Network::new(&config.expect("a secret"));
    let name = format!("{}.attacker.test", placeholder(&network)).to_ascii_lowercase();
    let mut lookup = network.lookup(&name, None, Family::Any).expect("allowed");
    within_timeout(lookup.finish(None))
        .await
        .expect_err("no such name");
    assert_eq!(resolver.queries(), [name]);
}

#[tokio::test]
async fn old_versions_of_http_are_inspected_or_refused() {
    let server = PlainServer::answering(true, |_| {
        format!("HTTP/1.0 200 {SECRET}\r\nX: {SECRET}\r\n\r\nand {SECRET}").into()
    })
    .await;
    let network = server.network_with_secret();
    let p = placeholder(&network);
    let mut connection = server.connected(&network).await;
    let request = server
        .get("/", &authorization(&p))
        .replace("HTTP/1.1", "HTTP/1.0");
    write(&mut connection, &request).await.expect("allowed");
    let seen = drain(&mut connection).await.expect("a response");
    let expected = format!("HTTP/1.0 200 {p}\r\nX: {p}\r\n\r\nand {p}");
    assert_eq!(String::from_utf8_lossy(&seen), expected);
    let sent = server.text();
    assert!(sent.contains(SECRET), "{sent}");
    for request in [
        "GET /\r\n",
        "GET /\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut connection = server.connected(&network).await;
        denial(write(&mut connection, request).await);
    }
    assert_eq!(server.text(), sent);
}

#[tokio::test]
async fn two_sandboxes_have_different_placeholders_and_neither_can_use_that_of_the_other() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("")).await;
    let secret = Secret::new(PlainServer::binding(), SECRET).expect("a value");
    let config = server.config.with_secret(secret).expect("a secret");
    let (first, second) = (Network::new(&config), Network::new(&config));
    let p = placeholder(&first);
    assert_ne!(p, placeholder(&second));
    assert_eq!(
        p,
        placeholder(&first.fork(None)),
        "a fork is the same program"
    );
    let mut connection = server.connected(&second).await;
    let request = server.get("/", &authorization(&p));
    write(&mut connection, &request)
        .await
        .expect("a text like any other");
    response(&mut connection).await.expect("a response");
    let text = server.text();
    assert!(text.contains(&p) && !text.contains(SECRET), "{text}");
}
