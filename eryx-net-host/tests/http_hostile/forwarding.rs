//! Bytes that pass an inspected connection, once and without waiting.

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::{Network, Secret, Shutdown};
use eryx_testkit::RequestRecorder;

use crate::recording;
use crate::support::http::{
    Origin, PlainServer, Provider, SECRET, authorization, binding, placeholder, read_until,
    response, rule, write,
};
use crate::support::{drain, send, tls_connected, within_timeout};

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
    let network = server.network_with(secret);
    let fields = authorization(&network);
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
async fn the_end_of_a_truncated_body_reaches_the_program_up_to_its_last_word() {
    let server = PlainServer::answering(true, |_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc ghp_0123".to_vec()
    })
    .await;
    let network = server.network_with_secret();
    let mut connection = server.connected(&network).await;
    let fields = authorization(&network);
    write(&mut connection, &server.get("/", &fields))
        .await
        .expect("allowed");
    let seen = drain(&mut connection).await.expect("what there is");
    assert!(seen.ends_with(b"\r\n\r\nabc "));
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
    let fields = authorization(&network);
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
async fn a_program_that_waits_for_100_continue_gets_it_after_the_responses_to_earlier_requests() {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    for is_provided in [false, true] {
        let gate = Arc::new(tokio::sync::Notify::new());
        let opened = Arc::clone(&gate);
        let server = PlainServer::new(move |mut socket| {
            let gate = Arc::clone(&opened);
            async move {
                for answer in ["first", "second"] {
                    socket.head().await.expect("a request");
                    gate.notified().await;
                    socket.send(&RequestRecorder::ok(answer)).await;
                }
                while !socket.read().await.is_empty() {}
            }
        })
        .await;
        let binding = PlainServer::binding().with_body(true);
        let secret = match is_provided {
            true => Secret::with_provider(binding, Arc::new(Provider::default())),
            false => Secret::new(binding, SECRET).expect("a value"),
        };
        let network = server.network_with(secret);
        let mut connection = server.connected(&network).await;
        let body = format!("token={}", placeholder(&network));
        let fields = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\n",
            body.len()
        );
        let post = server.get("/", &fields).replace("GET", "POST");
        write(&mut connection, &server.get("/", ""))
            .await
            .expect("allowed");
        send(&mut connection, post.as_bytes()).await;
        gate.notify_one();
        let seen = read_until(&mut connection, CONTINUE).await;
        assert_eq!(seen, [&RequestRecorder::ok("first"), CONTINUE].concat());
        write(&mut connection, &body).await.expect("allowed");
        gate.notify_one();
        let seen = read_until(&mut connection, b"second").await;
        assert_eq!(seen, RequestRecorder::ok("second"));
        let received = server.text();
        assert!(!received.contains("Expect"), "{received}");
        assert!(!received.contains(&body), "{received}");
    }
}

#[tokio::test]
async fn requests_behind_one_that_expects_100_continue_are_sent_after_its_body() {
    let origin = Origin::answering(|request| {
        let line = String::from_utf8_lossy(request);
        let path = line.split(' ').nth(1).unwrap_or_default();
        RequestRecorder::ok(&format!("done: {path}"))
    })
    .await;
    let secret = Secret::new(binding("secure.test").with_body(true), SECRET).expect("a value");
    let network = origin.network_with(secret);
    let port = origin.port();
    let p = placeholder(&network);
    let form = "application/x-www-form-urlencoded";
    // Only bodies of forms and of JSON are collected.
    for (media_type, body) in [(form, format!("token={p}")), ("text/plain", "x".repeat(20))] {
        let is_collected = media_type == form;
        let before = origin.server.text().len();
        let mut requests = String::new();
        for (path, framing, body) in [
            (
                "/0",
                format!("Content-Length: {}", body.len()),
                body.clone(),
            ),
            (
                "/1",
                "Transfer-Encoding: chunked".to_owned(),
                format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            ),
        ] {
            requests.push_str(&format!(
                "POST {path} HTTP/1.1\r\nHost: secure.test:{port}\r\nContent-Type: {media_type}\r\n\
                 Expect: 100-continue\r\n{framing}\r\n\r\n{body}"
            ));
        }
        requests.push_str(&format!(
            "GET /2 HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n"
        ));
        let mut connection = tls_connected(&network, port).await;
        send(&mut connection, requests.as_bytes()).await;
        let seen = read_until(&mut connection, b"done: /2").await;
        let seen = String::from_utf8(seen).expect("text");
        let answers: Vec<&str> = seen.lines().filter(|line| line.contains("done")).collect();
        assert_eq!(seen.matches("HTTP/1.1 200").count(), 3, "{seen}");
        assert!(seen.find("done: /0") < seen.find("done: /1"), "{answers:?}");
        let received = origin.server.text()[before..].to_owned();
        assert_eq!(received.matches(" HTTP/1.1\r\n").count(), 3, "{received}");
        let expected = match is_collected {
            true => format!("token={SECRET}"),
            false => body.clone(),
        };
        assert_eq!(received.matches(&expected).count(), 2, "{received}");
        let expectations = if is_collected { 0 } else { 2 };
        assert_eq!(
            received.matches("Expect: 100-continue").count(),
            expectations,
            "{received}"
        );
    }
    let log = network.report().requests;
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|request| request.status == Some(200)));
}
