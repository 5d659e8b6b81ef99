//! Hostile programs on inspected hosts that want requests past the rules, wrong bytes, or waits
//! without an end.

#![allow(
    clippy::disallowed_methods,
    reason = "a relay of a test connects without a policy"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    Connection, Family, HttpDenials, NetError, Network, Secret, Shutdown, TlsSession,
};
use eryx_testkit::{Leaf, RequestRecorder};
use support::http::*;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Looks up `name`, so that its addresses count as the name.
async fn look_up(network: &Network, name: &str, port: u16) {
    let mut lookup = network
        .lookup(name, Some(port), Family::Any)
        .expect("allowed");
    within_timeout(lookup.finish(None))
        .await
        .expect("addresses");
}

/// Starts a relay to `port`, as a proxy is that the program may use.
async fn relay_to(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let relay = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    relay
}

async fn handshake(connection: &mut Connection, session: &mut TlsSession) {
    transport(connection, session, async |s| not_yet(s.handshake()))
        .await
        .expect("the handshake");
}

/// Writes to a session, and sends what it produces.
async fn session_write(
    connection: &mut Connection,
    session: &mut TlsSession,
    request: &str,
) -> Result<usize, NetError> {
    transport(connection, session, async |s| {
        s.write(request.as_bytes()).await.map(Some)
    })
    .await
}

fn request(method: &str, port: u16, fields: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: secure.test:{port}\r\n{fields}\r\n")
}

#[tokio::test]
async fn a_request_in_a_tunnel_cannot_name_another_port_to_avoid_a_rule() {
    let origin = Origin::new().await;
    let port = origin.port();
    let rule = rule(&format!("secure.test:{port}"))
        .with_methods(["GET"])
        .expect("methods");
    let network = Network::new(&origin.config.with_http_rule(rule).expect("a rule"));
    let relay = relay_to(port).await;
    for named in [port, relay, 443] {
        let mut connection = connected(&network, "other.test", relay).await;
        let mut session = network.tls_session(&settings()).expect("allowed");
        handshake(&mut connection, &mut session).await;
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
    let network = Network::new(&origin.config.with_secret(secret).expect("a secret"));
    let fields = format!("Authorization: {}\r\n", placeholder(&network));
    let relay = relay_to(port).await;
    let mut connection = connected(&network, "other.test", relay).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    handshake(&mut connection, &mut session).await;
    let get = request("GET", port, &fields);
    let message = denial(session_write(&mut connection, &mut session, &get).await);
    assert!(message.contains("port"), "{message}");
    // On a connection to the host itself the port is known.
    let mut connection = connected(&network, "secure.test", port).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    handshake(&mut connection, &mut session).await;
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
        let network = Network::new(&origin.config.with_http_rule(rule).expect("a rule"));
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
    let network = Network::new(&origin.config.with_secret(secret).expect("a secret"));
    let mut connection = tls_through(&network, relay).await;
    let fields = format!("Authorization: {}\r\n", placeholder(&network));
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
async fn tls_without_a_server_name_is_inspected_where_one_name_of_the_address_is() {
    let origin = Origin::new().await;
    let rule = rule("secure.test").with_methods(["GET"]).expect("methods");
    let config = origin
        .config
        .with_http_rule(rule)
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
    let rule = rule("secure.test").with_methods(["GET"]).expect("methods");
    let config = origin
        .config
        .with_http_rule(rule)
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
        write(&mut connection, &request("GET", port, ""))
            .await
            .expect("allowed");
        response(&mut connection).await.expect("a response");
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
async fn fields_that_change_the_method_or_path_of_a_request_are_refused() {
    let origin = Origin::new().await;
    let rule = rule("secure.test")
        .with_methods(["GET", "POST"])
        .expect("methods")
        .with_paths(["/", "/a"])
        .expect("paths");
    let network = Network::new(&origin.config.with_http_rule(rule).expect("a rule"));
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
    let mut connection = connected(&network, "secure.test", port).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    handshake(&mut connection, &mut session).await;
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
    let config = origin
        .config
        .with_http_rule(rule.expect("methods"))
        .expect("a rule")
        .with_http_denials(HttpDenials::Response);
    let network = Network::new(&config);
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
async fn a_malformed_request_is_logged_with_the_port_of_its_connection() {
    let origin = Origin::new().await;
    let config = origin.config.with_http_rule(rule("secure.test"));
    let network = Network::new(&config.expect("a rule"));
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    denial(
        write(
            &mut connection,
            "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
        )
        .await,
    );
    let log = network.report().requests;
    let request = log.first().expect("an entry");
    assert_eq!(request.method, "");
    assert_eq!(request.url, format!("https://secure.test:{port}/"));
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
    let rule = rule("secure.test").with_methods(["GET"]).expect("methods");
    let config = origin
        .config
        .with_http_rule(rule)
        .expect("a rule")
        .with_http_denials(HttpDenials::Response);
    let network = Network::new(&config);
    let port = origin.port();
    let mut connection = connected(&network, "secure.test", port).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    handshake(&mut connection, &mut session).await;
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

#[tokio::test]
async fn a_denial_in_a_tunnel_is_an_error_because_no_transport_can_be_woken() {
    let origin = Origin::new().await;
    let rule = rule("secure.test").with_methods(["GET"]).expect("methods");
    let config = origin
        .config
        .with_http_rule(rule)
        .expect("a rule")
        .with_http_denials(HttpDenials::Response);
    let network = Network::new(&config);
    let relay = relay_to(origin.port()).await;
    let mut connection = connected(&network, "other.test", relay).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    handshake(&mut connection, &mut session).await;
    let delete = request("DELETE", origin.port(), "");
    denial(session_write(&mut connection, &mut session, &delete).await);
}

/// Returns a network that records the requests to all hosts.
fn recording(server: &PlainServer) -> Network {
    Network::new(&server.config.with_inspected_host("*").expect("a pattern"))
}

/// Starts a relay to `port` that first sends `greeting`, and answers each message of the program,
/// as servers do that begin TLS later.
async fn greeting_relay_to(
    port: u16,
    greeting: &'static str,
    answers: &'static [(&'static [u8], &'static str)],
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let relay = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                client.write_all(greeting.as_bytes()).await?;
                for (message, answer) in answers {
                    client.read_exact(&mut vec![0; message.len()]).await?;
                    client.write_all(answer.as_bytes()).await?;
                }
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    relay
}

#[tokio::test]
async fn tls_begins_after_bytes_in_clear_text_where_requests_are_only_recorded() {
    const SMTP: &[(&[u8], &str)] = &[
        (b"EHLO me\r\n", "250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", "220 go\r\n"),
    ];
    const POSTGRESQL: &[(&[u8], &str)] = &[(b"\0\0\0\x08\x04\xd2\x16\x2f", "S")];
    const CONNECT: &[(&[u8], &str)] = &[(
        b"CONNECT secure.test:443 HTTP/1.1\r\nHost: secure.test:443\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    )];
    let origin = Origin::new().await;
    let recording = origin.config.with_inspected_host("*").expect("a pattern");
    let rule = rule("secure.test").with_methods(["GET"]).expect("methods");
    let rules = origin.config.with_http_rule(rule).expect("a rule");
    for config in [recording, rules.with_report_only(true)] {
        for (greeting, answers) in [("220 hi\r\n", SMTP), ("", POSTGRESQL), ("", CONNECT)] {
            let network = Network::new(&config);
            let relay = greeting_relay_to(origin.port(), greeting, answers).await;
            let mut connection = connected(&network, "secure.test", relay).await;
            read_until(&mut connection, greeting.as_bytes()).await;
            for (message, answer) in answers {
                send(&mut connection, message).await;
                read_until(&mut connection, answer.as_bytes()).await;
            }
            within_timeout(connection.start_tls(&settings(), None))
                .await
                .expect("TLS");
            write(&mut connection, &request("GET", relay, ""))
                .await
                .expect("allowed");
            response(&mut connection).await.expect("a response");
            let log = network.report().requests;
            assert_eq!(log.last().and_then(|request| request.status), Some(200));
        }
    }
    // Bytes that the program has not read are a part of what TLS receives.
    let network = Network::new(&origin.config.with_inspected_host("*").expect("a pattern"));
    let relay = greeting_relay_to(origin.port(), "", SMTP).await;
    let mut connection = connected(&network, "secure.test", relay).await;
    send(&mut connection, SMTP[0].0).await;
    read_until(&mut connection, SMTP[0].1.as_bytes()).await;
    send(&mut connection, SMTP[1].0).await;
    assert!(readable(&mut connection, TIMEOUT).await);
    let start = within_timeout(connection.read(3, None)).await;
    assert_eq!(start, Ok(b"220".to_vec()));
    let outcome = within_timeout(connection.start_tls(&settings(), None)).await;
    assert!(matches!(outcome, Err(NetError::Tls(_))), "{outcome:?}");
}

#[tokio::test]
async fn tls_does_not_begin_after_bytes_in_clear_text_where_rules_are_enforced() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("")).await;
    let config = server.config.with_http_rule(rule("plain.test"));
    let network = Network::new(&config.expect("a rule"));
    let mut connection = server.connected(&network).await;
    write(&mut connection, &server.get("/", ""))
        .await
        .expect("allowed");
    response(&mut connection).await.expect("a response");
    let settings = ClientSettings::for_name("plain.test");
    let message = denial(within_timeout(connection.start_tls(&settings, None)).await);
    assert!(message.contains("open another connection"), "{message}");
}

#[tokio::test]
async fn bytes_that_are_only_recorded_are_never_held_back() {
    let server = PlainServer::new(|mut socket| async move {
        loop {
            let bytes = socket.read().await;
            if bytes.is_empty() {
                return;
            }
            socket.send(&bytes).await;
        }
    })
    .await;
    let network = recording(&server);
    for (message, answer) in [
        // No line end follows before the other side has answered.
        ("PING", "PING"),
        ("GET / HT", "GET / HT"),
        ("HTTP/1.1 200", "HTTP/1.1 200"),
        ("{\"jsonrpc\":\"2.0\"}", "{\"jsonrpc\":\"2.0\"}"),
        ("\r\n", "\r\n"),
    ] {
        let mut connection = server.connected(&network).await;
        write(&mut connection, message).await.expect("passes");
        assert_eq!(
            read_until(&mut connection, answer.as_bytes()).await,
            answer.as_bytes()
        );
    }
}

#[tokio::test]
async fn the_start_of_a_response_is_not_held_back_where_no_secret_can_be_in_it() {
    let server = PlainServer::new(|mut socket| async move {
        if socket.head().await.is_some() {
            socket.send(b"HTTP/1.1 200 OK\r\nConte").await;
            // Until the program has received the start.
            socket.read().await;
        }
    })
    .await;
    let network = recording(&server);
    let mut connection = server.connected(&network).await;
    write(&mut connection, &server.get("/", ""))
        .await
        .expect("passes");
    read_until(&mut connection, b"\r\nConte").await;
}

#[tokio::test]
async fn trailers_in_parts_are_forwarded_once_in_both_directions() {
    for is_recorded in [true, false] {
        let server = PlainServer::new(|mut socket| async move {
            if socket.head().await.is_none() {
                return;
            }
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
            for part in [head, "X-Tra", "iler: b\r\n", "\r\n", "gar", "bage\r\n"] {
                socket.send(part.as_bytes()).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while !socket.read().await.is_empty() {}
        })
        .await;
        let network = match is_recorded {
            true => recording(&server),
            false => {
                let config = server.config.with_http_rule(rule("plain.test"));
                Network::new(&config.expect("a rule"))
            }
        };
        let mut connection = server.connected(&network).await;
        let port = server.port;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let mut sent = String::new();
        for part in [&*head, "1\r\na\r\n0\r\nX-Tra", "iler: b\r\n\r", "\n"] {
            write(&mut connection, part).await.expect("passes");
            sent.push_str(part);
        }
        let seen = read_until(&mut connection, b"garbage\r\n").await;
        let seen = String::from_utf8(seen).expect("text");
        assert!(
            seen.ends_with("1\r\na\r\n0\r\nX-Trailer: b\r\n\r\ngarbage\r\n"),
            "{seen}"
        );
        if is_recorded {
            for part in ["no ht", "tp\r\n"] {
                write(&mut connection, part).await.expect("passes");
                sent.push_str(part);
            }
        }
        assert_eq!(server.wait_for(sent.len()).await, sent);
        let log = network.report().requests;
        assert_eq!(log[0].status, Some(200));
    }
}

#[tokio::test]
async fn a_protocol_can_change_after_a_request_with_a_long_head() {
    let server = PlainServer::answering(false, |_| {
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello"
            .to_vec()
    })
    .await;
    let rule = rule("plain.test").with_upgrade(true);
    let network = Network::new(&server.config.with_http_rule(rule).expect("a rule"));
    let mut connection = server.connected(&network).await;
    let long = "x".repeat(20_000);
    let fields = format!("Connection: Upgrade\r\nUpgrade: websocket\r\nX-Long: {long}\r\n");
    write(&mut connection, &server.get("/", &fields))
        .await
        .expect("allowed");
    read_until(&mut connection, b"hello").await;
    assert!(network.report().requests[0].is_upgraded);
}

#[tokio::test]
async fn a_request_whose_token_takes_time_is_sent_although_the_program_drops_the_connection() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("")).await;
    let secret = Secret::with_provider(PlainServer::binding(), Arc::new(Provider::default()));
    let network = Network::new(&server.config.with_secret(secret).expect("a secret"));
    let fields = format!("Authorization: {}\r\n", placeholder(&network));
    let get = server.get("/", &fields);
    for is_shut_down in [false, true] {
        let before = server.text().len();
        let mut connection = server.connected(&network).await;
        let taken = within_timeout(connection.write(get.as_bytes(), Some(Duration::ZERO))).await;
        assert_eq!(taken, Ok(get.len()));
        if is_shut_down {
            connection.shutdown(Shutdown::Send).expect("connected");
            response(&mut connection).await.expect("a response");
        }
        drop(connection);
        let text = server.wait_for(before + 50).await;
        assert!(text[before..].contains("short-lived-token"), "{text}");
    }
}

#[tokio::test]
async fn the_end_of_a_truncated_body_reaches_the_program() {
    let server = PlainServer::answering(true, |_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc ghp_0123".to_vec()
    })
    .await;
    let network = server.network_with_secret();
    let mut connection = server.connected(&network).await;
    let fields = format!("Authorization: {}\r\n", placeholder(&network));
    write(&mut connection, &server.get("/", &fields))
        .await
        .expect("allowed");
    let seen = drain(&mut connection).await.expect("what there is");
    assert!(seen.ends_with(b"abc ghp_0123"));
}

#[tokio::test]
async fn responses_without_a_body_are_followed_by_others_where_a_secret_was_sent() {
    let server = PlainServer::answering(false, |head| {
        let answer = match head.split(' ').next().expect("a method") {
            "HEAD" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "DELETE" => "HTTP/1.1 204 No Content\r\n\r\n",
            "PUT" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            "POST" => "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        };
        answer.as_bytes().to_vec()
    })
    .await;
    let network = server.network_with_secret();
    let mut connection = server.connected(&network).await;
    let fields = format!("Authorization: {}\r\n", placeholder(&network));
    for method in ["HEAD", "DELETE", "PUT", "POST", "GET"] {
        let request = server.get("/", &fields).replacen("GET", method, 1);
        write(&mut connection, &request).await.expect("allowed");
    }
    let seen = read_until(&mut connection, b"abc\r\n0\r\n\r\n").await;
    let seen = String::from_utf8(seen).expect("text");
    let answers = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ];
    assert_eq!(seen, answers.concat());
    let statuses: Vec<_> = network.report().requests.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [200, 204, 304, 200, 200].map(Some));
}

#[tokio::test]
async fn the_log_counts_heads_framing_and_bodies_in_both_directions() {
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for is_recorded in [true, false] {
        let server = PlainServer::answering(false, |_| answer.as_bytes().to_vec()).await;
        let network = match is_recorded {
            true => recording(&server),
            false => {
                let config = server.config.with_http_rule(rule("plain.test"));
                Network::new(&config.expect("a rule"))
            }
        };
        let mut connection = server.connected(&network).await;
        let port = server.port;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nC: d\r\n\r\n"
        );
        for part in request.as_bytes().chunks(7) {
            send(&mut connection, part).await;
        }
        read_until(&mut connection, b"A: b\r\n\r\n").await;
        let log = &network.report().requests[0];
        assert_eq!(log.sent_bytes, request.len() as u64, "{is_recorded}");
        assert_eq!(log.received_bytes, answer.len() as u64, "{is_recorded}");
    }
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
    let fields = format!("Authorization: {}\r\n", placeholder(&network));
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
            write(&mut connection, &format!("{head}1\r\na\r\n"))
                .await
                .expect("allowed");
            response(&mut connection).await.expect("a response");
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

#[tokio::test]
async fn the_log_counts_bytes_that_are_sent_after_the_response() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("early")).await;
    let config = server.config.with_http_rule(rule("plain.test"));
    let network = Network::new(&config.expect("a rule"));
    let port = server.port;
    let mut connection = server.connected(&network).await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    );
    write(&mut connection, &head).await.expect("allowed");
    response(&mut connection).await.expect("a response");
    let rest = "5\r\nabcde\r\n0\r\n\r\n";
    write(&mut connection, rest).await.expect("allowed");
    let log = &network.report().requests;
    assert_eq!(log[0].sent_bytes, (head.len() + rest.len()) as u64);
    assert_eq!(log[0].error, None);
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
        let mut connection = connected(&network, "secure.test", port).await;
        let mut session = network.tls_session(&settings()).expect("allowed");
        handshake(&mut connection, &mut session).await;
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
