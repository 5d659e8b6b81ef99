//! Limits and searches of bodies that a response precedes or a token delays.

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::{HttpDenials, Network, Secret};
use eryx_testkit::RequestRecorder;

use crate::support::http::{
    NeverProvides, PlainServer, SECRET, authorization, denial, exchange, placeholder, rule, write,
};
use crate::support::{drain, within_timeout};

#[tokio::test]
async fn a_malformed_response_does_not_avoid_the_limit_of_its_rule() {
    let body = "x".repeat(50);
    let server = PlainServer::answering(true, move |_| {
        format!("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n{body}").into_bytes()
    })
    .await;
    let rule = rule("plain.test").with_max_response_bytes(Some(10));
    let network = Network::new(&server.config.with_http_rule(rule).expect("a rule"));
    let mut connection = server.connected(&network).await;
    write(&mut connection, &server.get("/", ""))
        .await
        .expect("allowed");
    denial(drain(&mut connection).await);
}

#[tokio::test]
async fn a_response_that_comes_while_a_token_is_awaited_keeps_the_limit_of_its_rule() {
    let server = PlainServer::new(|mut socket| async move {
        socket.send(&RequestRecorder::ok(&"x".repeat(100))).await;
        while !socket.read().await.is_empty() {}
    })
    .await;
    let rule = rule("plain.test").with_max_response_bytes(Some(10));
    let secret = Secret::with_provider(PlainServer::binding(), Arc::new(NeverProvides));
    let config = server.config.with_http_rule(rule).expect("a rule");
    let network = Network::new(&config.with_secret(secret).expect("a secret"));
    let mut connection = server.connected(&network).await;
    let fields = authorization(&network);
    let get = server.get("/", &fields);
    let _ = within_timeout(connection.write(get.as_bytes(), Some(Duration::ZERO))).await;
    denial(drain(&mut connection).await);
}

#[tokio::test]
async fn a_body_that_continues_after_the_response_is_limited_searched_and_logged() {
    for denials in [HttpDenials::Error, HttpDenials::Response] {
        for (chunk, reason) in [
            ("5\r\nabcde\r\n".to_owned(), "max_request_bytes"),
            ("not a chunk\r\n".to_owned(), "chunk"),
            ("PLACEHOLDER".to_owned(), "TOKEN"),
        ] {
            let server = PlainServer::answering(false, |_| RequestRecorder::ok("early")).await;
            let limit = if reason == "TOKEN" { 1000 } else { 5 };
            let rule = rule("plain.test").with_max_request_bytes(Some(limit));
            let secret = Secret::new(PlainServer::binding(), SECRET).expect("a value");
            let config = server
                .config
                .with_http_rule(rule)
                .expect("a rule")
                .with_secret(secret)
                .expect("a secret")
                .with_http_denials(denials);
            let network = Network::new(&config);
            let p = placeholder(&network);
            let chunk = chunk.replace("PLACEHOLDER", &format!("{:x}\r\n{p}\r\n", p.len()));
            let port = server.port;
            let mut connection = server.connected(&network).await;
            let head = format!(
                "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            exchange(&mut connection, &format!("{head}1\r\na\r\n")).await;
            let outcome = write(&mut connection, &chunk).await;
            match denials {
                HttpDenials::Error => assert!(denial(outcome).contains(reason)),
                // The program has its response.
                HttpDenials::Response => {
                    outcome.expect("taken");
                    assert_eq!(drain(&mut connection).await, Ok(Vec::new()));
                }
            }
            drop(connection);
            assert!(!server.text().contains(&*chunk));
            let log = &network.report().requests;
            assert_eq!(log.len(), 1, "{log:?}");
            assert_eq!((&*log[0].method, log[0].status), ("POST", Some(200)));
            let error = log[0].error.as_deref().expect("a denial");
            assert!(error.contains(reason), "{error}");
        }
    }
}
