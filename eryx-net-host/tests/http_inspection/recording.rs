//! Tests of inspected hosts whose requests are recorded and not denied.

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::policy::HttpReason;
use eryx_net_host::{EventKind, Network};
use eryx_testkit::RequestRecorder;

use crate::misplacements;
use crate::support::http::{
    Origin, PlainServer, get_only, placeholder, response, rule, secret, write,
};
use crate::support::{
    ScriptedResolver, connected, loopback_config, recorded, send, tls_connected, within_timeout,
};

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
