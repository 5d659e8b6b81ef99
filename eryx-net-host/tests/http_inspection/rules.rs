//! Tests of the rules and limits of requests on connections.

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{HttpDenials, Network};
use eryx_testkit::RequestRecorder;

use crate::support::http::{Origin, denial, get, get_only, response, rule, write};
use crate::support::{connected, drain, settings, tls_connected, within_timeout};

#[tokio::test]
async fn a_host_with_rules_allows_only_what_a_rule_allows() {
    let origin = Origin::new().await;
    let rule = rule("secure.test")
        .with_methods(["GET", "HEAD"])
        .expect("methods")
        .with_paths(["/repos/acme/*"])
        .expect("paths");
    let config = origin.config.with_http_rule(rule).expect("a rule");
    let network = Network::new(&config);
    let port = origin.port();

    let mut connection = tls_connected(&network, port).await;
    let request = get("/repos/acme/site", port, "Accept: */*\r\n");
    assert_eq!(write(&mut connection, &request).await, Ok(request.len()));
    let echoed = response(&mut connection).await.expect("a response");
    assert!(echoed.ends_with(&request), "{echoed}");
    // The connection is kept alive, and the request is denied before a byte of it leaves.
    let message = denial(write(&mut connection, &get("/repos/other/site", port, "")).await);
    assert!(message.contains("/repos/other/site"), "{message}");
    assert!(message.contains("http_rules"), "{message}");
    assert_eq!(denial(connection.read(1, None).await), message);
    drop(connection);

    let mut connection = tls_connected(&network, port).await;
    let post = format!(
        "POST /repos/acme/site HTTP/1.1\r\nHost: secure.test:{port}\r\nContent-Length: 2\r\n\r\nhi"
    );
    let message = denial(write(&mut connection, &post).await);
    assert!(message.contains("POST"), "{message}");
    drop(connection);
    assert_eq!(origin.server.text(), request);

    let report = network.report();
    let log: Vec<_> = report
        .requests
        .iter()
        .map(|request| (&*request.method, request.status, request.error.is_some()))
        .collect();
    assert_eq!(
        log,
        [
            ("GET", Some(200), false),
            ("GET", None, true),
            ("POST", None, true)
        ]
    );
    assert_eq!(report.requests[0].sent_bytes, request.len() as u64);
    assert_eq!(
        report.requests[0].url,
        format!("https://secure.test:{port}/repos/acme/site")
    );
}

#[tokio::test]
async fn a_denial_can_be_a_response() {
    let origin = Origin::new().await;
    let network = origin.network_with_responses(get_only());
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    // Two requests in one write: the first is answered by the server.
    let first = get("/", port, "");
    let second =
        format!("DELETE / HTTP/1.1\r\nHost: secure.test:{port}\r\nContent-Length: 4\r\n\r\nbody");
    write(&mut connection, &format!("{first}{second}"))
        .await
        .expect("taken");
    let answers = drain(&mut connection).await.expect("answers");
    let answers = String::from_utf8(answers).expect("text");
    let (ok, denied) = answers.split_once("HTTP/1.1 403").expect("a denial");
    assert!(ok.contains("200 OK"), "{answers}");
    assert!(denied.contains("application/problem+json"), "{answers}");
    assert!(
        denied.contains(r#""detail":"`DELETE"#) || denied.contains("DELETE"),
        "{answers}"
    );
    assert_eq!(origin.server.text(), first);
}

/// Regression: the rule shows which network the name resolves to.
#[tokio::test]
async fn a_rule_for_a_network_is_for_names_in_it_and_its_denial_does_not_show_the_network() {
    let origin = Origin::new().await;
    let rule = rule("127.0.0.0/8").with_paths(["/public"]).expect("paths");
    let config = origin.config.with_http_rule(rule).expect("a rule");
    let port = origin.port();

    let network = Network::new(&config);
    let mut connection = tls_connected(&network, port).await;
    let message = denial(write(&mut connection, &get("/private", port, "")).await);
    assert!(message.contains("a rule in http_rules"), "{message}");
    let shown = network.report().requests[0]
        .verdict
        .as_ref()
        .map(ToString::to_string);
    assert!(shown.is_some_and(|shown| shown.contains("127.0.0.0/8")));

    let network = Network::new(&config.with_http_denials(HttpDenials::Response));
    let mut connection = tls_connected(&network, port).await;
    let request = get("/private", port, "");
    write(&mut connection, &request).await.expect("taken");
    let answer = drain(&mut connection).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    for text in [message, answer] {
        assert!(!text.contains("127."), "{text}");
    }
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn an_inspected_host_accepts_only_http_and_tls_of_the_host() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(rule("secure.test"))
        .expect("a rule");
    let network = Network::new(&config);
    let port = origin.port();
    for (bytes, text) in [
        (
            &b"\x16\x03\x01\x00\x05hello"[..],
            "neither HTTP/1.1 nor TLS",
        ),
        (b"SSH-2.0-x\r\n\r\n", "only well-formed HTTP/1.1 passes"),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "only well-formed HTTP/1.1 passes",
        ),
        (
            b"CONNECT secure.test:443 HTTP/1.1\r\n\r\n",
            "only well-formed HTTP/1.1 passes",
        ),
    ] {
        let mut connection = connected(&network, "secure.test", port).await;
        let message = denial(within_timeout(connection.write(bytes, None)).await);
        assert!(message.contains(text), "{message}");
    }
    let mut connection = connected(&network, "secure.test", port).await;
    let settings = ClientSettings::for_name("other.test");
    let message = denial(within_timeout(connection.start_tls(&settings, None)).await);
    assert!(message.contains("`other.test`"), "{message}");
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn http_2_is_not_offered_to_an_inspected_host() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(rule("secure.test"))
        .expect("a rule");
    for (config, expected) in [(config, &b"http/1.1"[..]), (origin.config.clone(), b"h2")] {
        let network = Network::new(&config);
        let mut connection = connected(&network, "secure.test", origin.port()).await;
        let settings = ClientSettings {
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            ..settings()
        };
        within_timeout(connection.start_tls(&settings, None))
            .await
            .expect("TLS");
        // Continuing the handshake with the same settings is accepted.
        let info = connection.tls_info().expect("TLS");
        let protocol = info.alpn.clone();
        if expected == b"http/1.1" {
            assert_eq!(protocol.as_deref(), Some(expected));
        } else {
            assert!(protocol.is_some());
        }
    }
}

#[tokio::test]
async fn bodies_are_limited_in_both_directions() {
    let origin = Origin::answering(|_| RequestRecorder::ok("0123456789")).await;
    let rule = rule("secure.test")
        .with_max_request_bytes(Some(4))
        .with_max_response_bytes(Some(9));
    let network = origin.network_with_rule(rule);
    let port = origin.port();
    let put =
        |framing: &str| format!("PUT / HTTP/1.1\r\nHost: secure.test:{port}\r\n{framing}\r\n\r\n");
    let mut connection = tls_connected(&network, port).await;
    let message = denial(write(&mut connection, &put("Content-Length: 5")).await);
    assert!(message.contains("max_request_bytes"), "{message}");
    let mut connection = tls_connected(&network, port).await;
    let chunked = put("Transfer-Encoding: chunked") + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let message = denial(write(&mut connection, &chunked).await);
    assert!(message.contains("max_request_bytes"), "{message}");
    let mut connection = tls_connected(&network, port).await;
    write(&mut connection, &get("/", port, ""))
        .await
        .expect("allowed");
    let message = denial(response(&mut connection).await);
    assert!(message.contains("max_response_bytes"), "{message}");
}

#[tokio::test]
async fn a_websocket_passes_only_where_a_rule_allows_it() {
    for is_allowed in [true, false] {
        let origin = Origin::answering(|_| {
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x82\x01a".to_vec()
        })
        .await;
        let rule = rule("secure.test").with_upgrade(is_allowed);
        let network = origin.network_with_rule(rule);
        let port = origin.port();
        let mut connection = tls_connected(&network, port).await;
        let request = get("/", port, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
        let outcome = write(&mut connection, &request).await;
        if !is_allowed {
            assert!(denial(outcome).contains("upgrade"));
            continue;
        }
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\x82\x01a") {
            bytes.extend(
                within_timeout(connection.read(1000, None))
                    .await
                    .expect("bytes"),
            );
        }
        within_timeout(connection.write(b"\x82\x81\0\0\0\0b", None))
            .await
            .expect("raw bytes");
        let log = network.report().requests;
        assert_eq!((log[0].status, log[0].is_upgraded), (Some(101), true));
    }
}

#[tokio::test]
async fn an_address_that_was_looked_up_is_inspected_as_its_name() {
    let origin = Origin::new().await;
    let network = origin.network_with_rule(get_only());
    let mut lookup = network
        .lookup(
            "secure.test",
            Some(origin.port()),
            eryx_net_host::Family::Any,
        )
        .expect("allowed");
    within_timeout(lookup.finish(None))
        .await
        .expect("addresses");
    let mut connection = connected(&network, "127.0.0.1", origin.port()).await;
    denial(within_timeout(connection.write(b"\x16\x03\x01\x00\x01x", None)).await);
    let mut connection = connected(&network, "127.0.0.1", origin.port()).await;
    within_timeout(connection.start_tls(&settings(), None))
        .await
        .expect("TLS");
    let post = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{}\r\n\r\n",
        origin.port()
    );
    denial(write(&mut connection, &post).await);
}
