//! Tests of HTTP rules, secrets and the request log on connections.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eryx_net_host::policy::HttpReason;
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{EventKind, HttpDenials, NetError, Network, Secret};
use eryx_testkit::RequestRecorder;
use support::http::*;
use support::*;

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
    let config = origin
        .config
        .with_http_rule(get_only())
        .expect("a rule")
        .with_http_denials(HttpDenials::Response);
    let network = Network::new(&config);
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
async fn a_secret_reaches_the_server_and_never_the_program() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret");
    let network = Network::new(&config);
    let port = origin.port();
    let placeholder = placeholder(&network);
    assert_eq!(placeholder.len(), SECRET.len());
    let mut connection = tls_connected(&network, port).await;
    let fields = format!("Authorization: Bearer {placeholder}\r\nAccept-Encoding: gzip\r\n");
    write(&mut connection, &get("/user", port, &fields))
        .await
        .expect("allowed");
    let echoed = response(&mut connection).await.expect("a response");
    let received = origin.server.text();
    assert!(
        received.contains(&format!("Authorization: Bearer {SECRET}\r\n")),
        "{received}"
    );
    assert!(
        received.contains("Accept-Encoding: identity\r\n"),
        "{received}"
    );
    // The server reflects the secret: the program sees its placeholder.
    assert!(!echoed.contains(SECRET), "{echoed}");
    assert!(
        echoed.contains(&format!("Bearer {placeholder}")),
        "{echoed}"
    );
    let report = network.report();
    assert_eq!(report.requests[0].secrets, ["TOKEN"]);
    assert!(!format!("{report:?}{config:?}").contains(SECRET));
}

#[tokio::test]
async fn a_secret_is_replaced_in_basic_credentials_however_the_request_is_split() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret");
    let network = Network::new(&config);
    let port = origin.port();
    let credentials =
        data_encoding::BASE64.encode(format!("me:{}", placeholder(&network)).as_bytes());
    let request = get(
        "/",
        port,
        &format!("Authorization: Basic {credentials}\r\n"),
    );
    let mut connection = tls_connected(&network, port).await;
    for byte in request.bytes() {
        let sent = within_timeout(connection.write(&[byte], None)).await;
        assert_eq!(sent, Ok(1));
    }
    let echoed = response(&mut connection).await.expect("a response");
    let real = data_encoding::BASE64.encode(format!("me:{SECRET}").as_bytes());
    assert!(origin.server.text().contains(&real));
    assert!(!echoed.contains(&real), "{echoed}");
    assert!(echoed.contains(&credentials), "{echoed}");
}

/// Returns requests to `secure.test` with the placeholder `p` where it may not be, and that place.
fn misplacements(p: &str, port: u16) -> Vec<(String, &'static str)> {
    let body = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{port}\r\nContent-Length: {}\r\n\r\n{p}",
        p.len()
    );
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &p[..5],
        p.len() - 5,
        &p[5..]
    );
    let trailer = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\na\r\n0\r\nX-Leak: {p}\r\n\r\n"
    );
    vec![
        (
            get("/", port, &format!("X-Other: {p}\r\n")),
            "the field `X-Other`",
        ),
        (
            get("/", port, &format!("Cookie: a={p}\r\n")),
            "the field `Cookie`",
        ),
        (
            get("/", port, &format!("{p}: x\r\n")),
            "the name of a field",
        ),
        (get(&format!("/{p}"), port, ""), "the path"),
        (
            get(&format!("/?q={p}"), port, ""),
            "the query parameter `q`",
        ),
        (
            get(&format!("/?{p}"), port, ""),
            "the name of a query parameter",
        ),
        (body, "the body"),
        (chunked, "the body"),
        (trailer, "a trailer field"),
    ]
}

#[tokio::test]
async fn a_placeholder_in_another_place_denies_the_request() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret")
        .with_http_rule(rule("other.test"))
        .expect("a rule");
    let network = Network::new(&config);
    let port = origin.port();
    let p = placeholder(&network);
    for (request, place) in misplacements(&p, port) {
        let mut connection = tls_connected(&network, port).await;
        let message = denial(write(&mut connection, &request).await);
        assert!(message.contains(place), "{place}: {message}");
        assert!(message.contains("`TOKEN`"), "{message}");
        assert!(!message.contains(&p), "{message}");
    }
    let received = origin.server.text();
    assert!(
        !received.contains(&p) && !received.contains(SECRET),
        "{received}"
    );
}

#[tokio::test]
async fn a_secret_is_not_sent_in_clear_text() {
    let resolver = Arc::new(ScriptedResolver::new().answer("plain.test", &["127.0.0.1"]));
    let server = RequestRecorder::plain(|_| RequestRecorder::ok(""))
        .await
        .expect("a server");
    let config = loopback_config(&resolver)
        .with_secret(secret("plain.test"))
        .expect("a secret");
    let network = Network::new(&config);
    let mut connection = connected(&network, "plain.test", server.port()).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: plain.test:{}\r\nAuthorization: {}\r\n\r\n",
        server.port(),
        placeholder(&network)
    );
    let message = denial(write(&mut connection, &request).await);
    assert!(message.contains("plaintext_hosts"), "{message}");
    assert!(server.received().is_empty());
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
async fn a_provider_is_asked_for_every_request() {
    let origin = Origin::new().await;
    let provider = Arc::new(Provider::default());
    let secret = Secret::with_provider(binding("secure.test"), Arc::clone(&provider) as _);
    let network = Network::new(&origin.config.with_secret(secret).expect("a secret"));
    let port = origin.port();
    let p = placeholder(&network);
    let mut connection = tls_connected(&network, port).await;
    for call in 0..2 {
        let request = get("/", port, &format!("Authorization: {p}\r\n"));
        // A write that must not wait takes the bytes, and a later wait sends them.
        let mut sent = 0;
        while sent < request.len() {
            let rest = &request.as_bytes()[sent..];
            match within_timeout(connection.write(rest, Some(Duration::ZERO))).await {
                Ok(taken) => sent += taken,
                Err(NetError::WouldBlock) => {
                    assert!(within_timeout(writable(&mut connection, TIMEOUT)).await);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        let echoed = response(&mut connection).await.expect("a response");
        let token = format!("short-lived-token-number-{call:08}");
        assert!(origin.server.text().contains(&token));
        assert!(!echoed.contains(&token), "{echoed}");
    }
    assert_eq!(provider.calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_provider_that_fails_denies_the_request() {
    let origin = Origin::new().await;
    let provider = Provider {
        fails: true,
        ..Provider::default()
    };
    let secret = Secret::with_provider(binding("secure.test"), Arc::new(provider));
    let network = Network::new(&origin.config.with_secret(secret).expect("a secret"));
    let port = origin.port();
    let p = placeholder(&network);
    let mut connection = tls_connected(&network, port).await;
    let request = get("/", port, &format!("Authorization: {p}\r\n"));
    let message = denial(write(&mut connection, &request).await);
    assert!(message.contains("the vault is sealed"), "{message}");
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn secrets_go_into_query_body_and_injected_fields_where_the_binding_says_so() {
    const AWKWARD: &str = r#"pass"word\&=% with many characters"#;
    let origin = Origin::new().await;
    let binding = binding("secure.test")
        .with_headers(["X-Api-Key"])
        .expect("a field")
        .with_query(["key"])
        .expect("a parameter")
        .with_body(true)
        .with_inject("Key {}")
        .expect("a template");
    let secret = Secret::new(binding, AWKWARD).expect("a value");
    let network = Network::new(&origin.config.with_secret(secret).expect("a secret"));
    let port = origin.port();
    let p = placeholder(&network);
    let json = format!(r#"{{"a":1,"key":"{p}"}}"#);
    let form = format!("a=1&key={p}");
    let mut connection = tls_connected(&network, port).await;
    for (media_type, body, expected) in [
        (
            "application/json",
            &json,
            r#"{"a":1,"key":"pass\"word\\&=% with many characters"}"#,
        ),
        (
            "application/x-www-form-urlencoded",
            &form,
            "a=1&key=pass%22word%5C%26%3D%25%20with%20many%20characters",
        ),
    ] {
        for is_chunked in [false, true] {
            let (framing, encoded) = match is_chunked {
                true => (
                    "Transfer-Encoding: chunked".to_owned(),
                    format!(
                        "3\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                        &body[..3],
                        body.len() - 3,
                        &body[3..]
                    ),
                ),
                false => (format!("Content-Length: {}", body.len()), body.clone()),
            };
            let request = format!(
                "POST /?x=1&key={p} HTTP/1.1\r\nHost: secure.test:{port}\r\nContent-Type: {media_type}\r\n\
                 Expect: 100-continue\r\n{framing}\r\n\r\n"
            );
            let before = origin.server.text().len();
            write(&mut connection, &request).await.expect("allowed");
            let interim = within_timeout(connection.read(25, None))
                .await
                .expect("100");
            assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
            write(&mut connection, &encoded).await.expect("allowed");
            let echoed = response(&mut connection).await.expect("a response");
            let received = origin.server.text()[before..].to_owned();
            assert!(received.contains(expected), "{received}");
            assert!(
                received.contains("x-api-key: Key pass\"word\\&=% with"),
                "{received}"
            );
            assert!(
                received.contains("/?x=1&key=pass%22word%5C%26%3D%25%20with"),
                "{received}"
            );
            if !is_chunked {
                assert!(
                    received.contains(&format!("Content-Length: {}\r\n", expected.len())),
                    "{received}"
                );
            }
            assert!(
                !echoed.contains("pass\"word") && !echoed.contains("pass%22"),
                "{echoed}"
            );
            assert!(!echoed.contains(r#"pass\"word"#), "{echoed}");
        }
    }
    let log = network.report().requests;
    assert_eq!(log.len(), 4);
    assert!(log[0].url.ends_with("/?x=1&key=REDACTED"), "{}", log[0].url);
}

#[tokio::test]
async fn a_reflected_secret_is_replaced_however_the_response_is_framed_and_split() {
    let chunked: Vec<u8> = {
        let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Echo: ".to_vec();
        response.extend(SECRET.bytes());
        response.extend(b"\r\n\r\n");
        // One byte in each chunk, with an extension.
        for byte in format!("a{SECRET}b{SECRET}").bytes() {
            response.extend(format!("1;x={SECRET}\r\n").bytes());
            response.push(byte);
            response.extend(b"\r\n");
        }
        response.extend(format!("0\r\nX-Trailer: {SECRET}\r\n\r\n").bytes());
        response
    };
    let length = format!(
        "HTTP/1.1 200 {SECRET}\r\nContent-Length: {}\r\n\r\n{SECRET}{}",
        SECRET.len() * 2 - 1,
        &SECRET[..SECRET.len() - 1]
    )
    .into_bytes();
    for answer in [chunked, length] {
        let origin = Origin::answering(move |_| answer.clone()).await;
        let network = Network::new(
            &origin
                .config
                .with_secret(secret("secure.test"))
                .expect("a secret"),
        );
        let port = origin.port();
        let p = placeholder(&network);
        for size in [1, 7, 1 << 20] {
            let mut connection = tls_connected(&network, port).await;
            let request = get("/", port, &format!("Authorization: {p}\r\n"));
            write(&mut connection, &request).await.expect("allowed");
            let mut text = String::new();
            while !text.ends_with("0\r\nX-Trailer: ")
                && !text.ends_with(&SECRET[..SECRET.len() - 1])
            {
                let bytes = within_timeout(connection.read(size, None))
                    .await
                    .expect("bytes");
                assert!(!bytes.is_empty(), "{text}");
                text.push_str(std::str::from_utf8(&bytes).expect("text"));
                assert!(!text.contains(SECRET), "{text}");
                if text.contains("X-Trailer: ") && text.ends_with("\r\n\r\n") {
                    break;
                }
            }
            assert!(text.contains(&p), "{text}");
        }
    }
}

#[tokio::test]
async fn a_compressed_response_is_denied_where_a_secret_is_known() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc".to_vec()
    })
    .await;
    let network = Network::new(
        &origin
            .config
            .with_secret(secret("secure.test"))
            .expect("a secret"),
    );
    let port = origin.port();
    let authorization = format!("Authorization: {}\r\n", placeholder(&network));
    for fields in ["", &authorization] {
        let mut connection = tls_connected(&network, port).await;
        let request = get("/", port, fields);
        write(&mut connection, &request).await.expect("allowed");
        let message = denial(response(&mut connection).await);
        assert!(message.contains("Content-Encoding"), "{message}");
    }
}

#[tokio::test]
async fn a_malformed_response_ends_the_connection_only_where_a_secret_was_sent() {
    for has_secret in [false, true] {
        let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\nrest".to_vec()).await;
        let config = match has_secret {
            true => origin
                .config
                .with_secret(secret("secure.test"))
                .expect("a secret"),
            false => origin
                .config
                .with_http_rule(rule("secure.test"))
                .expect("a rule"),
        };
        let network = Network::new(&config);
        let port = origin.port();
        let mut connection = tls_connected(&network, port).await;
        let fields = match has_secret {
            true => format!("Authorization: {}\r\n", placeholder(&network)),
            false => String::new(),
        };
        write(&mut connection, &get("/", port, &fields))
            .await
            .expect("allowed");
        let outcome = within_timeout(connection.read(100, None)).await;
        if has_secret {
            assert!(denial(outcome).contains("the response is denied"));
        } else {
            let mut bytes = outcome.expect("the response as it is");
            while !bytes.ends_with(b"rest") {
                bytes.extend(
                    within_timeout(connection.read(100, None))
                        .await
                        .expect("more"),
                );
            }
            assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\nrest");
            // No further request can be matched with its response.
            denial(write(&mut connection, &get("/", port, "")).await);
        }
    }
}

#[tokio::test]
async fn bodies_are_limited_in_both_directions() {
    let origin = Origin::answering(|_| RequestRecorder::ok("0123456789")).await;
    let rule = rule("secure.test")
        .with_max_request_bytes(Some(4))
        .with_max_response_bytes(Some(9));
    let network = Network::new(&origin.config.with_http_rule(rule).expect("a rule"));
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
        let network = Network::new(&origin.config.with_http_rule(rule).expect("a rule"));
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
async fn report_only_mode_reports_denials_and_lets_requests_pass() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(get_only())
        .expect("a rule")
        .with_report_only(true);
    let (network, recorder) = recorded(&config);
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    let delete = format!("DELETE /x HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n");
    write(&mut connection, &delete).await.expect("passes");
    response(&mut connection).await.expect("a response");
    assert_eq!(origin.server.text(), delete);
    let events = recorder.events();
    assert!(
        events
            .iter()
            .any(|event| event.kind.as_str() == "http-would-deny")
    );
    // What is not HTTP passes as well.
    let mut connection = tls_connected(&network, port).await;
    write(&mut connection, "hello ").await.expect("passes");
    write(&mut connection, "world\n").await.expect("passes");
    within_timeout(async {
        while !origin.server.text().ends_with("hello world\n") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn report_only_mode_reports_bodies_that_are_too_long_and_malformed_requests() {
    let origin = Origin::answering(|_| RequestRecorder::ok("0123456789")).await;
    let rule = rule("secure.test")
        .with_max_request_bytes(Some(4))
        .with_max_response_bytes(Some(9));
    let config = origin.config.with_http_rule(rule).expect("a rule");
    let (network, recorder) = recorded(&config.with_report_only(true));
    let port = origin.port();
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ] {
        let mut connection = tls_connected(&network, port).await;
        let put = format!("PUT / HTTP/1.1\r\nHost: secure.test:{port}\r\n{body}");
        send(&mut connection, put.as_bytes()).await;
        let answer = response(&mut connection).await.expect("a response");
        assert!(answer.ends_with("0123456789"), "{answer}");
    }
    let events = recorder.events();
    let reasons: Vec<HttpReason> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::HttpWouldDeny { verdict } => Some(verdict.reason()),
            _ => None,
        })
        .collect();
    let both = [HttpReason::RequestTooLarge, HttpReason::ResponseTooLarge];
    assert_eq!(reasons, both.repeat(2));
    let mut connection = tls_connected(&network, port).await;
    let other = "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n";
    write(&mut connection, other).await.expect("passes");
    let log = network.report().requests;
    let error = log.last().and_then(|request| request.error.as_deref());
    let error = error.expect("the reason");
    assert!(
        error.starts_with("goes on, report_only is set: the request is denied"),
        "{error}"
    );
}

#[tokio::test]
async fn report_only_mode_records_a_placeholder_in_another_place() {
    let origin = Origin::new().await;
    let config = origin.config.with_secret(secret("secure.test"));
    let network = Network::new(&config.expect("a secret").with_report_only(true));
    let port = origin.port();
    let p = placeholder(&network);
    for (request, place) in misplacements(&p, port) {
        let mut connection = tls_connected(&network, port).await;
        write(&mut connection, &request).await.expect("passes");
        drop(connection);
        let log = network.report().requests;
        let error = log.last().and_then(|request| request.error.as_deref());
        let error = error.expect("the reason");
        assert!(
            error.starts_with("goes on, report_only is set: ") && error.contains(place),
            "{place}: {error}"
        );
        assert!(!error.contains(&p), "{error}");
    }
}

#[tokio::test]
async fn hosts_inspected_for_the_log_alone_may_speak_anything() {
    let resolver = Arc::new(ScriptedResolver::new().answer("plain.test", &["127.0.0.1"]));
    let server = RequestRecorder::plain(|_| RequestRecorder::ok("x"))
        .await
        .expect("a server");
    let config = loopback_config(&resolver)
        .with_inspected_host("*")
        .expect("a pattern");
    let network = Network::new(&config);
    let port = server.port();
    let mut connection = connected(&network, "plain.test", port).await;
    let request = format!("GET /a?b=c HTTP/1.1\r\nHost: plain.test:{port}\r\n\r\n");
    write(&mut connection, &request).await.expect("passes");
    response(&mut connection).await.expect("a response");
    let mut raw = connected(&network, "plain.test", port).await;
    for part in ["EHLO me\r", "\n", "QUIT\r\n"] {
        write(&mut raw, part).await.expect("passes");
    }
    within_timeout(async {
        while !server.text().contains("EHLO me\r\nQUIT\r\n") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let log = network.report().requests;
    assert_eq!(log[0].url, format!("http://plain.test:{port}/a?b=c"));
    assert_eq!(log[0].received_bytes, RequestRecorder::ok("x").len() as u64);
}

#[tokio::test]
async fn a_placeholder_passes_as_it_is_where_requests_are_only_recorded() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("x")).await;
    let config = server
        .config
        .with_inspected_host("*")
        .and_then(|config| config.with_secret(secret("elsewhere.test")))
        .expect("settings");
    let network = Network::new(&config);
    let p = placeholder(&network);
    let mut connection = server.connected(&network).await;
    let request = server.get(&format!("/{p}?q={p}"), &format!("Authorization: {p}\r\n"));
    write(&mut connection, &request).await.expect("passes");
    response(&mut connection).await.expect("a response");
    assert_eq!(server.text(), request);
    let log = network.report().requests;
    assert_eq!((log[0].status, log[0].secrets.len()), (Some(200), 0));
    assert!(!log[0].url.contains(&p), "{}", log[0].url);
}

#[tokio::test]
async fn a_session_over_the_programs_own_transport_is_inspected_as_well() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret")
        .with_http_rule(get_only())
        .expect("a rule");
    for versions in [
        eryx_net_host::tls::Version::Tls12,
        eryx_net_host::tls::Version::Tls13,
    ] {
        let network = Network::new(&config);
        let port = origin.port();
        let p = placeholder(&network);
        let before = origin.server.text().len();
        let mut connection = connected(&network, "secure.test", port).await;
        let settings = ClientSettings {
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            max_version: Some(versions),
            ..settings()
        };
        let mut session = network.tls_session(&settings).expect("allowed");
        handshake(&mut connection, &mut session).await;
        let alpn = session.info().and_then(|info| info.alpn);
        assert_eq!(alpn.as_deref(), Some(&b"http/1.1"[..]));
        let request = get("/", port, &format!("Authorization: Bearer {p}\r\n"));
        let taken = session_write(&mut connection, &mut session, &request).await;
        assert_eq!(taken, Ok(request.len()));
        let echoed = session_echo(&mut connection, &mut session, request.len()).await;
        assert!(origin.server.text()[before..].contains(SECRET));
        assert!(echoed.contains(&p) && !echoed.contains(SECRET), "{echoed}");
        let post = format!("POST / HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n");
        let message = denial(session.write(post.as_bytes()).await);
        assert!(message.contains("POST"), "{message}");
        // Bytes that the session did not produce do not leave.
        let forged = [&[23, 3, 3, 0, 20][..], &[7; 20]].concat();
        let message = denial(within_timeout(connection.write(&forged, None)).await);
        assert!(message.contains("neither HTTP/1.1 nor TLS"), "{message}");
    }
}

#[tokio::test]
async fn a_client_hello_of_another_session_does_not_pass() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(rule("secure.test"))
        .expect("a rule");
    let network = Network::new(&config);
    let mut session = network
        .tls_session(&ClientSettings::for_name("other.test"))
        .expect("allowed");
    let hello = session.take(usize::MAX);
    let mut connection = connected(&network, "secure.test", origin.port()).await;
    denial(within_timeout(connection.write(&hello, None)).await);
    let mut session = network.tls_session(&settings()).expect("allowed");
    let mut hello = session.take(usize::MAX);
    let last = hello.len() - 1;
    hello[last] ^= 1;
    let mut connection = connected(&network, "secure.test", origin.port()).await;
    denial(within_timeout(connection.write(&hello, None)).await);
}

#[tokio::test]
async fn an_address_that_was_looked_up_is_inspected_as_its_name() {
    let origin = Origin::new().await;
    let network = Network::new(&origin.config.with_http_rule(get_only()).expect("a rule"));
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

#[cfg(feature = "serde")]
#[tokio::test]
async fn the_log_can_be_written_as_har() {
    let origin = Origin::new().await;
    let network = Network::new(&origin.config.with_http_rule(get_only()).expect("a rule"));
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    write(&mut connection, &get("/a?b=c&d", port, ""))
        .await
        .expect("allowed");
    response(&mut connection).await.expect("a response");
    denial(
        write(
            &mut connection,
            &format!("POST / HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n"),
        )
        .await,
    );
    let har = serde_json::to_value(network.report().to_har()).expect("JSON");
    let entries = har["log"]["entries"].as_array().expect("entries");
    assert_eq!(entries[0]["request"]["queryString"][0]["value"], "c");
    assert_eq!(entries[0]["response"]["status"], 200);
    assert_eq!(entries[1]["response"]["status"], 0);
    assert_eq!(entries[1]["_verdict"]["reason"], "method-not-allowed");
    let started = entries[0]["startedDateTime"].as_str().expect("a time");
    assert!(started.ends_with('Z') && started.contains('T'), "{started}");
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn an_archive_has_the_versions_of_messages_and_the_size_of_the_content() {
    for (head, size) in [
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            4,
        ),
    ] {
        let server = PlainServer::answering(true, move |_| head.as_bytes().to_vec()).await;
        let config = server.config.with_http_rule(rule("plain.test"));
        let network = Network::new(&config.expect("a rule"));
        let mut connection = server.connected(&network).await;
        let request = server.get("/", "").replace("HTTP/1.1", "HTTP/1.0");
        write(&mut connection, &request).await.expect("allowed");
        drain(&mut connection).await.expect("a response");
        let har = serde_json::to_value(network.report().to_har()).expect("JSON");
        let entry = &har["log"]["entries"][0];
        assert_eq!(entry["request"]["httpVersion"], "HTTP/1.0");
        assert_eq!(entry["response"]["httpVersion"], head[..8]);
        assert_eq!(entry["response"]["content"]["size"], size);
    }
}
