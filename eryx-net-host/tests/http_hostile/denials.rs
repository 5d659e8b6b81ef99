//! What a program receives before and after a denial.

use std::time::Duration;

use eryx_net_host::{HttpDenials, Network};
use eryx_testkit::RequestRecorder;

use crate::request;
use crate::support::http::{
    Origin, PlainServer, denial, get_only, not_yet, placeholder, response, rule, secret,
    session_connected, session_write, transport, write,
};
use crate::support::{TIMEOUT, drain, readable, tls_connected, within_timeout};

#[tokio::test]
async fn fields_that_change_the_method_or_path_of_a_request_are_refused() {
    let origin = Origin::new().await;
    let rule = rule("secure.test")
        .with_methods(["GET", "POST"])
        .expect("methods")
        .with_paths(["/", "/a"])
        .expect("paths");
    let network = origin.network_with_rule(rule);
    let port = origin.port();
    for (fields, is_allowed) in [
        ("X-HTTP-Method-Override: POST\r\n", true),
        ("X-HTTP-Method-Override: GET\r\n", false),
        ("X-HTTP-Method-Override: DELETE\r\n", false),
        ("X-Http-Method: PUT\r\n", false),
        ("x-method-override: TRACE\r\n", false),
        ("X-Original-URL: /a\r\n", false),
        ("X-Original-URL: /admin\r\n", false),
        ("X-Original-URL: /a\r\nX-Original-URL: /admin\r\n", false),
        ("X-Rewrite-Url: /a/../admin\r\n", false),
        ("X-Rewrite-Url: admin\r\n", false),
        ("SCRIPT_NAME: /a\r\n", false),
        ("Script-Name: /a\r\n", false),
        ("path_info: /admin\r\n", false),
        ("X-Script-Name: /a\r\n", false),
    ] {
        let mut connection = tls_connected(&network, port).await;
        let outcome = write(&mut connection, &request("POST", port, fields)).await;
        assert_eq!(outcome.is_ok(), is_allowed, "{fields}");
        if is_allowed {
            response(&mut connection).await.expect("a response");
        } else {
            denial(outcome);
        }
    }
}

#[tokio::test]
async fn head_and_connect_in_another_case_do_not_reach_the_server() {
    // A server that converts methods to upper case: the response to `head` has no body.
    let server = PlainServer::answering(false, |_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n".to_vec()
    })
    .await;
    let rule = server.config.with_http_rule(rule("plain.test"));
    for config in [rule.expect("a rule"), server.config_with_secret()] {
        let network = Network::new(&config);
        for method in ["head", "Head", "hEAD", "connect", "Connect", "CONNECT"] {
            let mut connection = server.connected(&network).await;
            let request = server.get("/", "").replace("GET", method);
            let message = denial(write(&mut connection, &request).await);
            assert!(message.contains(&format!("`{method}`")), "{message}");
            let remedy = match method.eq_ignore_ascii_case("head") {
                true => "write `HEAD`",
                false => "connect to the server directly",
            };
            assert!(message.contains(remedy), "{message}");
        }
        let mut connection = server.connected(&network).await;
        let request = server.get("/", "").replace("GET", "HEAD");
        write(&mut connection, &request).await.expect("allowed");
        let head = within_timeout(connection.read(1000, None)).await;
        assert!(head.expect("a response").ends_with(b"\r\n\r\n"));
        write(&mut connection, &request).await.expect("allowed");
    }
    let seen = server.wait_for(4 * server.get("/", "").len()).await;
    assert!(!seen.to_ascii_lowercase().contains("connect /"), "{seen}");
    assert_eq!(
        seen.to_ascii_lowercase().matches("head /").count(),
        4,
        "{seen}"
    );
    assert_eq!(seen.matches("HEAD /").count(), 4, "{seen}");
}

#[tokio::test]
async fn a_complete_response_is_read_before_the_denial_that_follows_it() {
    let server = PlainServer::answering(false, |head| {
        let mut answer = RequestRecorder::ok("whole");
        if head.contains("/extra") {
            answer.extend(b"unsolicited");
        }
        answer
    })
    .await;
    let network = server.network_with_secret();
    let p = placeholder(&network);
    for is_extra in [true, false] {
        let mut connection = server.connected(&network).await;
        let path = if is_extra { "/extra" } else { "/" };
        write(&mut connection, &server.get(path, ""))
            .await
            .expect("allowed");
        // All of it is read in advance.
        assert!(readable(&mut connection, TIMEOUT).await);
        if !is_extra {
            let denied = server.get("/", &format!("X-Other: {p}\r\n"));
            for _ in 0..2 {
                let message = denial(write(&mut connection, &denied).await);
                assert!(message.contains("X-Other"), "{message}");
            }
        }
        let seen = response(&mut connection).await.expect("the response");
        assert!(seen.ends_with("whole"), "{seen}");
        for _ in 0..2 {
            denial(within_timeout(connection.read(100, None)).await);
        }
    }
}

#[tokio::test]
async fn a_session_returns_a_complete_response_before_the_denial_that_follows_it() {
    let origin = Origin::answering(|_| {
        let mut answer = RequestRecorder::ok("whole");
        answer.extend(b"unsolicited");
        answer
    })
    .await;
    let config = origin.config.with_secret(secret("secure.test"));
    let network = Network::new(&config.expect("a secret"));
    let port = origin.port();
    let (mut connection, mut session) = session_connected(&network, "secure.test", port).await;
    session_write(&mut connection, &mut session, &request("GET", port, ""))
        .await
        .expect("allowed");
    let mut seen = Vec::new();
    while !seen.ends_with(b"whole") {
        let bytes = transport(&mut connection, &mut session, async |s| {
            not_yet(s.read(1000))
        })
        .await;
        seen.extend(bytes.expect("the response"));
    }
    let outcome = transport(&mut connection, &mut session, async |s| {
        not_yet(s.read(1000))
    })
    .await;
    denial(outcome);
}

#[tokio::test]
async fn a_malformed_request_behind_another_is_answered_after_it() {
    let origin = Origin::new().await;
    let rule = rule("secure.test").with_methods(["GET", "POST"]);
    let network = origin.network_with_responses(rule.expect("methods"));
    let port = origin.port();
    let chunked = request("POST", port, "Transfer-Encoding: chunked\r\n");
    for malformed in [
        "GET / HTTP/1.1\nHost: x\n\n".to_owned(),
        // The head is valid, and is sent.
        format!("{chunked}5\r\nhello\r\nnot a chunk\r\n"),
    ] {
        for pause in [false, true] {
            let mut connection = tls_connected(&network, port).await;
            let first = request("GET", port, "");
            if pause {
                write(&mut connection, &first).await.expect("taken");
                write(&mut connection, &malformed).await.expect("taken");
            } else {
                write(&mut connection, &format!("{first}{malformed}"))
                    .await
                    .expect("taken");
            }
            let seen = drain(&mut connection).await.expect("both responses");
            let seen = String::from_utf8(seen).expect("text");
            assert!(seen.starts_with("HTTP/1.1 200 OK"), "{seen}");
            assert!(seen.contains(&first), "{seen}");
            assert_eq!(seen.matches("HTTP/1.1 403").count(), 1, "{seen}");
            assert!(seen.ends_with('}'), "{seen}");
        }
    }
    let log = network.report().requests;
    assert_eq!(log.iter().filter(|r| r.status == Some(200)).count(), 4);
}

#[tokio::test]
async fn a_request_that_is_denied_in_its_body_is_answered_at_once() {
    let origin = Origin::new().await;
    let rule = rule("secure.test").with_max_request_bytes(Some(4));
    let config = origin
        .config
        .with_http_rule(rule)
        .expect("a rule")
        .with_http_denials(HttpDenials::Response);
    let network = Network::new(&config);
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    let chunked = request("POST", port, "Transfer-Encoding: chunked\r\n");
    write(&mut connection, &format!("{chunked}3\r\nabc\r\n"))
        .await
        .expect("taken");
    write(&mut connection, "3\r\ndef\r\n0\r\n\r\n")
        .await
        .expect("taken");
    assert!(readable(&mut connection, Duration::ZERO).await);
    let seen = drain(&mut connection).await.expect("a response");
    assert!(seen.starts_with(b"HTTP/1.1 403"), "{seen:?}");
}

#[tokio::test]
async fn a_response_to_a_denial_wakes_a_program_that_waits_for_its_own_transport() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(get_only())
        .expect("a rule")
        .with_http_denials(HttpDenials::Response);
    let network = Network::new(&config);
    let port = origin.port();
    let (mut connection, mut session) = session_connected(&network, "secure.test", port).await;
    // The session tickets of the server.
    let _ = connection
        .read(1 << 20, Some(Duration::from_millis(50)))
        .await;
    let delete = request("DELETE", port, "");
    session_write(&mut connection, &mut session, &delete)
        .await
        .expect("taken");
    // As asyncio does: it reads from the session after it has read from the transport.
    assert!(readable(&mut connection, TIMEOUT).await);
    assert!(connection.poll_item_readable().is_none());
    let end = within_timeout(connection.read(1000, None)).await;
    assert_eq!(end, Ok(Vec::new()));
    session.feed_eof();
    let denied = not_yet(session.read(1000)).expect("a response");
    assert!(denied.is_some_and(|bytes| bytes.starts_with(b"HTTP/1.1 403")));
    assert_eq!(not_yet(session.read(1000)), Ok(Some(Vec::new())));
}
