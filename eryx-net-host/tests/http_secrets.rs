//! Hostile programs and odd servers that would bring a secret to the program.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::policy::SecretBinding;
use eryx_net_host::{NetConfig, NetError, Network, Secret};
use eryx_testkit::{Behaviour, RequestRecorder};
use support::http::*;
use support::*;

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

/// Reads up to the end of the stream or an error, and returns the text of both.
async fn everything(connection: &mut eryx_net_host::Connection) -> String {
    let mut all = String::new();
    loop {
        match within_timeout(connection.read(1 << 20, None)).await {
            Ok(bytes) if bytes.is_empty() => return all,
            Ok(bytes) => all.push_str(&String::from_utf8_lossy(&bytes)),
            Err(error) => return format!("{all}{error:?}{error}"),
        }
    }
}

#[tokio::test]
async fn a_response_that_is_not_well_formed_does_not_bring_the_secret_to_the_program() {
    for answer in [
        // The error of each would quote the line.
        format!("HTTP/1.1 200 OK\r\nA: {SECRET}\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nA: b\r\n {SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nA{SECRET} : b\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}\r\n\r\n"),
        format!("{SECRET}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {SECRET}\r\nContent-Length: 1\r\n\r\nx"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{SECRET}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{SECRET}"),
        // The stream ends within the head.
        format!("HTTP/1.1 200 OK\r\nA: {SECRET}\r\n"),
        format!("HTTP/1.1 200 {SECRET}"),
    ] {
        let text = answer.clone();
        let server = PlainServer::answering(true, move |_| text.clone().into_bytes()).await;
        let (network, recorder) = recorded(
            &server
                .config
                .with_secret(Secret::new(PlainServer::binding(), SECRET).expect("a value"))
                .expect("a secret"),
        );
        let mut connection = server.connected(&network).await;
        write(&mut connection, &server.get("/", &authorization(&network)))
            .await
            .expect("allowed");
        let seen = everything(&mut connection).await;
        assert!(!seen.contains(SECRET), "{answer:?}: {seen}");
        drop(connection);
        let logged = format!("{:?}{:?}", network.report(), recorder.events());
        assert!(!logged.contains(SECRET), "{answer:?}: {logged}");
    }
}

#[tokio::test]
async fn a_malformed_response_on_another_connection_does_not_bring_the_secret() {
    let server = PlainServer::answering(true, |head| match head.contains("/history") {
        true => format!("HTTP/1.1 200 OK\r\nA b: c\r\n\r\nthe last one was {SECRET}").into_bytes(),
        false => RequestRecorder::ok("ok"),
    })
    .await;
    let network = server.network_with_secret();
    server.fetch(&network, "/", &authorization(&network)).await;
    let mut second = server.connected(&network).await;
    write(&mut second, &server.get("/history", ""))
        .await
        .expect("allowed");
    let seen = everything(&mut second).await;
    assert!(!seen.contains(SECRET), "{seen}");
}

/// A server that remembers the last head with `Authorization` or a query, and shows it on
/// `/history`.
async fn historian() -> PlainServer {
    let last = Arc::new(eryx_sync::Mutex::new(String::new()));
    PlainServer::answering(false, move |head| {
        let mut last = last.lock();
        if !head.contains("/history") {
            head.clone_into(&mut last);
        }
        RequestRecorder::ok(&last)
    })
    .await
}

#[tokio::test]
async fn a_value_that_an_earlier_sandbox_sent_is_replaced_in_every_response() {
    let server = historian().await;
    let first = server.network_with_secret();
    server.fetch(&first, "/", &authorization(&first)).await;
    assert!(server.text().contains(SECRET));
    let second = server.network_with_secret();
    let seen = server.fetch(&second, "/history", "").await;
    assert!(!seen.contains(SECRET), "{seen}");
    assert!(seen.contains(&placeholder(&second)), "{seen}");
}

#[tokio::test]
async fn a_secret_for_an_address_is_replaced_under_a_name_that_resolves_to_it_as_well() {
    let server = historian().await;
    let address = || ["127.0.0.1".parse().expect("a pattern")];
    let binding = SecretBinding::new("TOKEN", address()).expect("a binding");
    let binding = binding.with_plaintext_hosts(address()).expect("a host");
    let secret = Secret::new(binding, SECRET).expect("a value");
    let network = server.network_with(secret);
    let port = server.port;
    let mut connection = connected(&network, "127.0.0.1", port).await;
    let fields = authorization(&network);
    let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n");
    exchange(&mut connection, &request).await;
    assert!(server.text().contains(SECRET));
    let seen = server.fetch(&network, "/history", "").await;
    assert!(!seen.contains(SECRET), "{seen}");
    assert!(seen.contains(&placeholder(&network)), "{seen}");
    // The secret is not for the name.
    let mut connection = server.connected(&network).await;
    let outcome = write(&mut connection, &server.get("/", &fields)).await;
    assert!(denial(outcome).contains("is not for"));
}

#[tokio::test]
async fn encodings_of_a_secret_are_replaced_on_other_connections_as_well() {
    const AWKWARD: &str = "a/b+c=d\"e\\f%g&h?0123456789abcdefgh";
    let server = historian().await;
    let binding = PlainServer::binding().with_query(["key"]).expect("a name");
    let secret = Secret::new(binding, AWKWARD).expect("a value");
    let network = server.network_with(secret);
    let p = placeholder(&network);
    for user in ["", "u", "us", "user"] {
        for tail in ["", "x", "xy", "xyz"] {
            let mut first = server.connected(&network).await;
            let credentials = base64(&format!("{user}:{p}{tail}"));
            let sent = base64(&format!("{user}:{AWKWARD}{tail}"));
            let fields = format!("Authorization: Basic {credentials}\r\n");
            let request = server.get(&format!("/?key={p}"), &fields);
            exchange(&mut first, &request).await;
            assert!(server.text().contains(&sent));
            let seen = server.fetch(&network, "/history", "").await;
            assert!(seen.contains("Authorization: Basic "), "{seen}");
            assert!(!seen.contains("b%2Bc%3Dd"), "{seen}");
            // At most the first and the last character of the secret can be in characters that
            // also depend on their neighbours.
            let inner = &sent[(user.len() + 1).div_ceil(3) * 4 + 4..][..32];
            assert!(!seen.contains(inner), "{user} {tail}: {seen}");
        }
    }
}

#[tokio::test]
async fn many_different_credentials_do_not_displace_an_earlier_one() {
    let server = historian().await;
    let network = server.network_with_secret();
    let p = placeholder(&network);
    let mut first = server.connected(&network).await;
    let mut sent = Vec::new();
    for user in 0..50 {
        let fields = format!(
            "Authorization: Basic {}\r\n",
            base64(&format!("{user:02}:{p}"))
        );
        let seen = exchange(&mut first, &server.get("/", &fields)).await;
        sent.push(base64(&format!("{user:02}:{SECRET}")));
        assert!(!seen.contains(&sent[user]), "{seen}");
    }
    assert!(sent.iter().all(|sent| server.text().contains(sent)));
    let answer = sent.concat();
    let show = PlainServer::answering(false, move |_| RequestRecorder::ok(&answer)).await;
    let mut second = connected(&network, "plain.test", show.port).await;
    let seen = exchange(&mut second, &show.get("/history", "")).await;
    for sent in &sent {
        assert!(!seen.contains(sent), "{seen}");
    }
}

#[tokio::test]
async fn long_credentials_are_sent_and_replaced() {
    let origin = Origin::new().await;
    let network = origin.network_with_secret();
    let port = origin.port();
    let text = |token: &str| base64(&format!("{}:{token}", "u".repeat(15_000)));
    let credentials = text(&placeholder(&network));
    let mut connection = tls_connected(&network, port).await;
    let request = get(
        "/",
        port,
        &format!("Authorization: Basic {credentials}\r\n"),
    );
    let seen = exchange(&mut connection, &request).await;
    let sent = text(SECRET);
    assert!(origin.server.text().contains(&sent));
    assert!(!seen.contains(&sent[sent.len() - 40..]));
}

fn token(call: usize) -> String {
    format!("short-lived-token-number-{call:08}")
}

#[tokio::test]
async fn tokens_of_requests_that_wait_for_responses_are_replaced_in_all_of_them() {
    let server = PlainServer::answering(false, RequestRecorder::ok).await;
    let secret = Secret::with_provider(PlainServer::binding(), Arc::new(Tokens(token, 0.into())));
    let network = server.network_with(secret);
    let request = server.get("/", &authorization(&network));
    let mut connection = server.connected(&network).await;
    write(&mut connection, &request.repeat(12))
        .await
        .expect("allowed");
    let mut seen = String::new();
    while seen.matches("HTTP/1.1 200").count() < 12 || !seen.ends_with("\r\n\r\n") {
        let bytes = within_timeout(connection.read(1 << 20, None)).await;
        seen.push_str(&String::from_utf8(bytes.expect("bytes")).expect("text"));
    }
    for call in 0..12 {
        assert!(server.text().contains(&token(call)));
        assert!(!seen.contains(&token(call)), "{call}: {seen}");
    }
}

#[tokio::test]
async fn a_response_that_began_before_the_secret_was_sent_does_not_bring_it() {
    for head in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let is_chunked = head.contains("chunked");
        let (events, _) = tokio::sync::broadcast::channel::<String>(16);
        let sender = events.clone();
        let server = PlainServer::new(move |mut socket| {
            let events = events.clone();
            async move {
                let mut subscription = events.subscribe();
                let Some(request) = socket.head().await else {
                    return;
                };
                if !request.contains("/live") {
                    let _ = events.send(request);
                    socket.send(&RequestRecorder::ok("")).await;
                    return;
                }
                socket.send(head.as_bytes()).await;
                let event = |text: &str| match is_chunked {
                    true => format!("{:x}\r\n{text}\r\n", text.len()),
                    false => text.to_owned(),
                };
                socket.send(event("hello\n").as_bytes()).await;
                while let Ok(request) = subscription.recv().await {
                    // In two parts, so that the secret is split.
                    let (start, end) = request.split_at(request.len() / 2);
                    socket.send(event(start).as_bytes()).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    socket.send(event(end).as_bytes()).await;
                }
            }
        })
        .await;
        let network = server.network_with_provider();
        let mut live = server.connected(&network).await;
        write(&mut live, &server.get("/live", ""))
            .await
            .expect("allowed");
        let end: &[u8] = if is_chunked {
            b"hello\n\r\n"
        } else {
            b"hello\n"
        };
        read_until(&mut live, end).await;
        let mut other = server.connected(&network).await;
        write(&mut other, &server.get("/", &authorization(&network)))
            .await
            .expect("allowed");
        let end: &[u8] = if is_chunked {
            b"\r\n\r\n\r\n"
        } else {
            b"\r\n\r\n"
        };
        let seen = String::from_utf8(read_until(&mut live, end).await).expect("text");
        let bare = seen.replace("\r\n", "");
        assert!(seen.contains("Authorization: Bearer "), "{seen}");
        for part in [SECRET, &SECRET[..30], &SECRET[10..]] {
            assert!(!bare.contains(part), "{head}: {seen}");
        }
        drop(sender);
    }
}

#[tokio::test]
async fn a_request_with_many_placeholders_of_a_long_token_is_denied() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("")).await;
    let binding = PlainServer::binding()
        .with_headers(["x-key"])
        .and_then(|binding| binding.with_query(["key"]))
        .expect("names")
        .with_body(true);
    let long = |_: usize| "%".repeat(4096);
    let secret = Secret::with_provider(binding, Arc::new(Tokens(long, 0.into())));
    let network = server.network_with(secret);
    let p = placeholder(&network);
    let many = p.repeat(500);
    let port = server.port;
    for request in [
        format!(
            "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{many}",
            many.len()
        ),
        server.get("/", &format!("X-Key: {many}\r\n")),
        server.get(&format!("/?key={many}"), ""),
        server.get("/", &format!("X-Key: Basic {}\r\n", base64(&many))),
    ] {
        let mut connection = server.connected(&network).await;
        let message = denial(write(&mut connection, &request).await);
        assert!(message.contains("32,768"), "{message}");
        assert!(!message.contains("%%%"), "{message}");
    }
    assert_eq!(server.text(), "");
}

#[tokio::test]
async fn a_secret_that_looks_like_framing_does_not_change_the_framing() {
    for (value, answer) in [
        (
            "12345678",
            "HTTP/1.1 200 OK\r\nContent-Length: 12345678\r\nX: 12345678\r\n\r\n",
        ),
        ("HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (
            "chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: chunked\r\n\r\n",
        ),
    ] {
        let server = PlainServer::answering(false, |_| answer.as_bytes().to_vec()).await;
        let secret = Secret::new(PlainServer::binding(), value).expect("a value");
        let network = server.network_with(secret);
        let mut connection = server.connected(&network).await;
        write(&mut connection, &server.get("/", &authorization(&network)))
            .await
            .expect("allowed");
        let seen = read_until(&mut connection, b"\r\n\r\n").await;
        let seen = String::from_utf8(seen).expect("text");
        let framing = answer.split("X: ").next().expect("a head").trim_end();
        assert!(seen.starts_with(framing), "{seen}");
        assert!(!seen.contains(&format!("X: {value}")), "{seen}");
    }
}

#[tokio::test]
async fn a_name_that_is_verified_although_the_program_does_not_ask_for_it_gets_the_secret() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret");
    let network = Network::new(&config);
    let port = origin.port();
    let mut connection = connected(&network, "secure.test", port).await;
    let settings = eryx_net_host::tls::ClientSettings {
        check_hostname: false,
        ..settings()
    };
    within_timeout(connection.start_tls(&settings, None))
        .await
        .expect("TLS");
    exchange(&mut connection, &get("/", port, &authorization(&network))).await;
    assert!(origin.server.text().contains(SECRET));
}

#[tokio::test]
async fn an_unverified_server_does_not_get_the_secret() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret")
        .allow_unverified_tls(true);
    for (verify_peer, check_hostname) in [(false, false), (true, false)] {
        let network = Network::new(&config);
        let port = origin.port();
        let mut connection = connected(&network, "secure.test", port).await;
        let settings = eryx_net_host::tls::ClientSettings {
            verify_peer,
            check_hostname,
            ..settings()
        };
        within_timeout(connection.start_tls(&settings, None))
            .await
            .expect("TLS");
        let request = get("/", port, &authorization(&network));
        let message = denial(write(&mut connection, &request).await);
        assert!(message.contains("verified"), "{message}");
    }
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn a_malformed_request_does_not_open_a_way_around_the_search_in_report_only_mode() {
    let server = historian().await;
    let secret = Secret::new(PlainServer::binding(), SECRET).expect("a value");
    let config = server.config.with_secret(secret).expect("a secret");
    let network = Network::new(&config.with_report_only(true));
    server.fetch(&network, "/", &authorization(&network)).await;
    assert!(server.text().contains(SECRET));
    let mut second = server.connected(&network).await;
    let request = server.get("/history", "").replacen("\r\n", "\n", 1) + "\r\n\r\n";
    let outcome = write(&mut second, &request).await;
    let seen = match outcome {
        Err(NetError::Denied(_)) => return,
        _ => response(&mut second).await.expect("a response"),
    };
    assert!(!seen.contains(SECRET), "{seen}");
}

#[tokio::test]
async fn messages_and_log_entries_about_long_requests_are_short() {
    let origin = Origin::new().await;
    let config: NetConfig = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret");
    let network = Network::new(&config);
    let port = origin.port();
    let p = placeholder(&network);
    let long = "n".repeat(20_000);
    for request in [
        get("/", port, &format!("{long}: {p}\r\n")),
        get(&format!("/?{long}={p}"), port, ""),
        get(&format!("/{long}"), port, &format!("Cookie: {p}\r\n")),
    ] {
        let mut connection = tls_connected(&network, port).await;
        let message = denial(write(&mut connection, &request).await);
        assert!(message.len() < 1200, "{} bytes", message.len());
    }
    for request in network.report().requests {
        assert!(request.url.len() <= 1024 && request.error.expect("denied").len() < 1200);
    }
}

#[tokio::test]
async fn a_session_sends_a_request_once_although_the_token_takes_time() {
    let origin = Origin::new().await;
    let provider = Arc::new(Provider::default());
    let secret = Secret::with_provider(binding("secure.test"), Arc::clone(&provider) as _);
    let network = origin.network_with(secret);
    let port = origin.port();
    let (mut connection, mut session) = session_connected(&network, "secure.test", port).await;
    let request = get("/", port, &authorization(&network));
    let taken = session_write(&mut connection, &mut session, &request).await;
    assert_eq!(taken, Ok(request.len()));
    session_echo(&mut connection, &mut session, request.len()).await;
    assert_eq!(origin.server.text().matches("GET / ").count(), 1);
    assert_eq!(provider.calls.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_session_whose_token_does_not_come_in_time_denies_the_request() {
    let origin = Origin::new().await;
    let binding: SecretBinding = binding("secure.test");
    let secret = Secret::with_provider(binding, Arc::new(NeverProvides));
    let config = origin
        .config
        .with_secret(secret)
        .expect("a secret")
        .with_io_timeout(Duration::from_millis(300))
        .expect("in range");
    let network = Network::new(&config);
    let port = origin.port();
    let (_connection, mut session) = session_connected(&network, "secure.test", port).await;
    let request = get("/", port, &authorization(&network));
    let message = denial(within_timeout(session.write(request.as_bytes())).await);
    assert!(message.contains("`TOKEN`"), "{message}");
    assert_eq!(denial(within_timeout(session.write(b"x")).await), message);
    assert_eq!(origin.server.text(), "");
}

#[tokio::test]
async fn a_secret_that_is_sent_after_the_response_is_searched_for() {
    let received = Arc::new(eryx_sync::Mutex::new(String::new()));
    let server = PlainServer::new(move |mut socket| {
        let received = Arc::clone(&received);
        async move {
            // Before any request.
            let early = RequestRecorder::ok(&received.lock());
            socket.send(&early).await;
            while let Some(head) = socket.head().await {
                received.lock().push_str(&head);
            }
        }
    })
    .await;
    let secret = Secret::with_provider(PlainServer::binding(), Arc::new(Provider::default()));
    let network = server.network_with(secret);
    let get = server.get("/", &authorization(&network));
    let mut connection = server.connected(&network).await;
    let taken = within_timeout(connection.write(get.as_bytes(), Some(Duration::ZERO))).await;
    assert_eq!(taken, Ok(get.len()));
    response(&mut connection).await.expect("a response");
    write(&mut connection, "").await.expect("the token comes");
    assert!(server.wait_for(get.len()).await.contains(&token(0)));
    let seen = server.fetch(&network, "/", "").await;
    assert!(seen.contains("Authorization: Bearer "), "{seen}");
    assert!(!seen.contains(&token(0)), "{seen}");
}

#[tokio::test]
async fn bytes_that_a_server_sends_before_any_request_do_not_bring_the_secret() {
    let server = PlainServer::new(|mut socket| async move {
        socket
            .send(format!("the secret is {SECRET}").as_bytes())
            .await;
        while socket.head().await.is_some() {}
    })
    .await;
    let network = server.network_with_secret();
    let mut first = server.connected(&network).await;
    write(&mut first, &server.get("/", &authorization(&network)))
        .await
        .expect("allowed");
    server.wait_for(1).await;
    let mut second = server.connected(&network).await;
    assert!(readable(&mut second, TIMEOUT).await);
    let seen = everything(&mut second).await;
    assert!(!seen.contains(SECRET), "{seen}");
}

#[tokio::test]
async fn bytes_that_a_server_sends_a_session_before_any_request_do_not_bring_the_secret() {
    let fixture = TlsFixture::new();
    let server = fixture.peer(Behaviour::FinishesFirst { bytes: 100 }).await;
    let config = fixture.config().with_secret(secret("secure.test"));
    let network = Network::new(&config.expect("a secret"));
    let (mut connection, mut session) =
        session_connected(&network, "secure.test", server.port()).await;
    let outcome = transport(&mut connection, &mut session, async |s| {
        not_yet(s.read(1000))
    })
    .await;
    denial(outcome);
}
