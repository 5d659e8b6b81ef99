//! Tests of placeholders in requests, and of the secrets that replace them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eryx_net_host::{NetError, Network, Secret};
use eryx_testkit::RequestRecorder;

use crate::misplacements;
use crate::support::http::{
    Origin, Provider, SECRET, binding, denial, exchange, get, placeholder, response, rule, secret,
    write,
};
use crate::support::{
    ScriptedResolver, TIMEOUT, connected, loopback_config, tls_connected, within_timeout, writable,
};

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
    let echoed = exchange(&mut connection, &get("/user", port, &fields)).await;
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
    let network = origin.network_with_secret();
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
async fn a_provider_is_asked_for_every_request() {
    let origin = Origin::new().await;
    let provider = Arc::new(Provider::default());
    let secret = Secret::with_provider(binding("secure.test"), Arc::clone(&provider) as _);
    let network = origin.network_with(secret);
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
    let network = origin.network_with(secret);
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
    let network = origin.network_with(secret);
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
            let echoed = exchange(&mut connection, &encoded).await;
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
