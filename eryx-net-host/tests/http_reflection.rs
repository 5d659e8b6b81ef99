//! Servers that give a secret back, and programs that ask them for it in parts, over WebSocket, or
//! by what arrives early.

mod support;

use std::time::Duration;

use eryx_net_host::{Network, Secret};
use eryx_testkit::RequestRecorder;
use support::http::*;
use support::*;

/// Sends a request with the secret, and waits for its response.
async fn send_secret(server: &PlainServer, network: &Network) {
    let mut connection = server.connected(network).await;
    let request = server.get("/first", &authorization(network));
    exchange(&mut connection, &request).await;
}

#[tokio::test]
async fn a_request_to_a_host_with_secrets_asks_for_all_of_the_content_unencoded() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("all")).await;
    let network = server.network_with_secret();
    let fields = "Range: bytes=0-9\r\nIf-Range: \"a\"\r\nRANGE: bytes=5-\r\nAccept-Encoding: br\r\n\
                  Accept_Encoding: gzip\r\nRequest-Range: bytes=1-\r\nIf_Range: \"a\"\r\n\
                  Accept-Charset: utf-16\r\nA-IM: vcdiff\r\nX-Other: kept\r\n\
                  Accept: application/json;charset=UTF-16LE\r\n\
                  Accept: text/html; level=1 ; Charset = \"utf-16\";q=0.5, */*\r\n";
    for authorization in [String::new(), authorization(&network)] {
        let mut connection = server.connected(&network).await;
        let request = server.get("/", &format!("{fields}{authorization}"));
        exchange(&mut connection, &request).await;
    }
    let text = server.text().to_ascii_lowercase();
    for removed in [
        "range", "bytes=", "br\r\n", "gzip", "utf-16", "a-im", "vcdiff",
    ] {
        assert!(!text.contains(removed), "{removed}: {text}");
    }
    assert_eq!(text.matches("accept-encoding: identity\r\n").count(), 2);
    assert_eq!(text.matches("x-other: kept\r\n").count(), 2);
    let accept = "accept: application/json, text/html; level=1 ;q=0.5, */*\r\n";
    assert_eq!(text.matches(accept).count(), 2, "{text}");
}

#[tokio::test]
async fn a_range_is_asked_for_where_no_secret_can_be_sent() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("all")).await;
    let config = server.config.with_http_rule(rule("plain.test"));
    let network = Network::new(&config.expect("a rule"));
    let mut connection = server.connected(&network).await;
    let request = server.get("/", "Range: bytes=0-9\r\n");
    exchange(&mut connection, &request).await;
    assert_eq!(server.text(), request);
}

#[tokio::test]
async fn a_part_of_a_content_is_denied_where_a_value_is_known() {
    for head in [
        "206 Partial Content\r\nContent-Range: bytes 0-3/99\r\n",
        "206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=a\r\n",
        "226 IM Used\r\nIM: vcdiff\r\n",
    ] {
        let server = PlainServer::answering(false, move |request| {
            if request.contains("/first") {
                return RequestRecorder::ok("ok");
            }
            let body = if request.starts_with("HEAD") {
                ""
            } else {
                &SECRET[..4]
            };
            format!("HTTP/1.1 {head}Content-Length: 4\r\n\r\n{body}").into()
        })
        .await;
        // The value of a provider is not known before a request contains it.
        for (network, is_fixed) in [
            (server.network_with_secret(), true),
            (server.network_with_provider(), false),
        ] {
            for is_sent in [false, true] {
                if is_sent {
                    send_secret(&server, &network).await;
                }
                let mut connection = server.connected(&network).await;
                let request = server.get("/part", "X-Ms-Range: bytes=0-3\r\n");
                write(&mut connection, &request).await.expect("allowed");
                let outcome = response(&mut connection).await;
                if is_fixed || is_sent {
                    let message = denial(outcome);
                    assert!(
                        message.contains("part") && message.contains("206"),
                        "{message}"
                    );
                } else {
                    assert!(outcome.expect("no value is known").ends_with("ghp_"));
                }
            }
            // Without a body there is nothing to recognise.
            let mut connection = server.connected(&network).await;
            let request = server.get("/part", "").replacen("GET", "HEAD", 1);
            write(&mut connection, &request).await.expect("allowed");
            read_until(&mut connection, b"\r\n\r\n").await;
        }
    }
}

#[tokio::test]
async fn what_arrives_early_does_not_depend_on_the_secret() {
    // The server gives the program its own text back, and pauses.
    for (head, is_chunked) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            true,
        ),
    ] {
        let server = PlainServer::new(move |mut socket| async move {
            let Some(request) = socket.head().await else {
                return;
            };
            let (_, rest) = request.split_once("/echo-").expect("a path");
            let word = rest.split(' ').next().expect("a word");
            let text = format!("a line\n{word}");
            let text = match is_chunked {
                true => format!("{:x}\r\n{text}\r\n", text.len()),
                false => text,
            };
            socket.send(format!("{head}{text}").as_bytes()).await;
            while !socket.read().await.is_empty() {}
        })
        .await;
        let network = server.network_with_secret();
        let mut first = server.connected(&network).await;
        let request = server.get("/echo-x", &authorization(&network));
        write(&mut first, &request).await.expect("allowed");
        let mut arrivals = Vec::new();
        for guess in [
            "g",
            "z",
            "ghp_",
            "ghq_",
            &SECRET[..20],
            &SECRET[1..21],
            SECRET,
        ] {
            let mut connection = server.connected(&network).await;
            let request = server.get(&format!("/echo-{guess}"), "");
            write(&mut connection, &request).await.expect("allowed");
            let mut seen = read_until_contains(&mut connection, "a line\n").await;
            while readable(&mut connection, Duration::from_millis(20)).await {
                let more = within_timeout(connection.read(1000, None)).await;
                seen.extend(more.expect("bytes"));
            }
            let seen = String::from_utf8(seen).expect("text");
            arrivals.push(seen.split_once("\r\n\r\n").expect("a head").1.to_owned());
        }
        let first = &arrivals[0];
        assert!(
            arrivals.iter().all(|arrival| arrival == first),
            "{arrivals:?}"
        );
    }
}

/// Reads until the program has received `text`, and returns everything.
async fn read_until_contains(connection: &mut eryx_net_host::Connection, text: &str) -> Vec<u8> {
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(text) {
        let bytes = within_timeout(connection.read(1000, None))
            .await
            .expect("bytes");
        assert!(!bytes.is_empty(), "{}", String::from_utf8_lossy(&all));
        all.extend(bytes);
    }
    all
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Extensions: permessage-deflate\r\n";

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// Returns a server that answers an upgrade with `frames`, and a network with a secret for it.
async fn web_socket(frames: Vec<u8>) -> (PlainServer, Network) {
    let server = PlainServer::answering(false, move |request| {
        match request.contains("Upgrade: websocket") {
            true => [SWITCHING.as_bytes(), &frames].concat(),
            false => RequestRecorder::ok("ok"),
        }
    })
    .await;
    let network = server.network_with_secret();
    (server, network)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    [&[first, length], payload].concat()
}

#[tokio::test]
async fn a_secret_that_comes_over_websocket_is_replaced() {
    let (start, end) = SECRET.as_bytes().split_at(7);
    let frames = [
        frame(0x81, SECRET.as_bytes()),
        frame(0x02, start),
        frame(0x89, SECRET.as_bytes()),
        frame(0x80, end),
        frame(0x81, b"the end"),
    ]
    .concat();
    let (server, network) = web_socket(frames).await;
    let p = placeholder(&network);
    // With the secret in the request itself, and in one on another connection.
    for fields in [authorization(&network), String::new()] {
        let mut connection = server.connected(&network).await;
        let request = server.get("/", &format!("{UPGRADE}{fields}"));
        write(&mut connection, &request).await.expect("allowed");
        let seen = read_until(&mut connection, b"the end").await;
        let expected = [
            SWITCHING.as_bytes(),
            &frame(0x81, p.as_bytes()),
            &frame(0x89, p.as_bytes()),
            &frame(0x82, p.as_bytes()),
            &frame(0x81, b"the end"),
        ]
        .concat();
        assert_eq!(
            String::from_utf8_lossy(&seen),
            String::from_utf8_lossy(&expected)
        );
        // The program's frames pass as they are.
        send(&mut connection, b"\x81\x81\0\0\0\0b").await;
    }
    let text = server.text();
    assert!(
        text.contains(SECRET) && !text.contains("Extensions"),
        "{text}"
    );
    assert!(network.report().requests.iter().all(|r| r.is_upgraded));
}

#[tokio::test]
async fn frames_in_which_a_secret_could_be_hidden_end_the_connection() {
    for (frames, rule) in [
        (frame(0xc1, b"compressed"), "extension"),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "WebSocket"),
    ] {
        let (server, network) = web_socket(frames).await;
        let mut connection = server.connected(&network).await;
        let request = server.get("/", &format!("{UPGRADE}{}", authorization(&network)));
        write(&mut connection, &request).await.expect("allowed");
        let message = denial(drain(&mut connection).await);
        assert!(message.contains(rule), "{message}");
    }
}

#[tokio::test]
async fn a_host_with_secrets_changes_to_no_protocol_but_websocket() {
    let (server, network) = web_socket(Vec::new()).await;
    for protocols in [
        "other",
        "websocket, other",
        "other, websocket",
        "websocket/13",
    ] {
        let mut connection = server.connected(&network).await;
        let fields = format!("Connection: Upgrade\r\nUpgrade: {protocols}\r\n");
        let message = denial(write(&mut connection, &server.get("/", &fields)).await);
        assert!(message.contains("Upgrade"), "{message}");
    }
    assert_eq!(server.text(), "");
}

#[tokio::test]
async fn a_secret_is_replaced_as_servers_encode_it_in_json_html_and_urls() {
    const KEY: &str = "Zm9v/YmFy+cXV4&cXV1eA==";
    let encoded = [
        r"Zm9v\/YmFy+cXV4&cXV1eA==",
        r"Zm9v/YmFy\u002BcXV4\u0026cXV1eA==",
        r"Zm9v/YmFy+cXV4\u0026cXV1eA==",
        r"Zm9v/YmFy+cXV4\u0026cXV1eA\u003d\u003d",
        "Zm9v/YmFy+cXV4&amp;cXV1eA==",
        "Zm9v/YmFy&#43;cXV4&amp;cXV1eA==",
        "Zm9v%2fYmFy%2bcXV4%26cXV1eA%3d%3d",
        "Zm9v/YmFy%2BcXV4%26cXV1eA%3D%3D",
        "Zm9v/YmFy+cXV4&amp;cXV1eA&#x3D;&#x3D;",
        "Zm9v&#x2F;YmFy+cXV4&amp;cXV1eA&#x3D;&#x3D;",
        r"Zm9v\u002FYmFy+cXV4&cXV1eA==",
    ];
    let body = encoded.join("\n");
    let server = PlainServer::answering(false, move |_| RequestRecorder::ok(&body)).await;
    let secret = Secret::new(PlainServer::binding(), KEY).expect("a value");
    let network = server.network_with(secret);
    let mut connection = server.connected(&network).await;
    let request = server.get("/", &authorization(&network));
    let seen = exchange(&mut connection, &request).await;
    let body = seen.split_once("\r\n\r\n").expect("a head").1;
    for (line, encoded) in body.lines().zip(encoded) {
        assert!(
            line.starts_with("eryx-") && line.len() == encoded.len(),
            "{line}"
        );
    }
    assert_eq!(body.lines().count(), encoded.len());
}
