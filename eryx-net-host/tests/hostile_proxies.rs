//! Tests of proxies that violate their protocol, stall, or send without end.

mod support;

use std::time::Duration;

use eryx_net_host::{EventKind, NetConfig, NetError, Network};
use eryx_testkit::{Behaviour, ClosedPort, Peer, Transport};
use support::*;

/// Connects through the proxy at `url`, and returns the program's error and the embedder's reason.
async fn failure(url: &str) -> (NetError, String) {
    let config = NetConfig::default().with_proxy(url.parse().expect("a URL"));
    let (network, recorder) = recorded(&config);
    let error = outcome(&network, "93.184.215.14", 443)
        .await
        .expect_err(url);
    let reason = recorder
        .events()
        .into_iter()
        .find_map(|event| match event.kind {
            EventKind::ProxyFailed { reason, .. } => Some(reason),
            _ => None,
        });
    (error, reason.expect("an event"))
}

#[tokio::test]
async fn an_answer_that_is_not_a_tunnel_is_an_error_that_names_the_rule() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20));
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200));
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(1000);
    let table = [
        (
            "http",
            "HTTP/1.1 403 No\r\n\r\nHost: proxy",
            "HTTP status 403",
        ),
        (
            "http",
            "HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n",
            "HTTP status 302",
        ),
        ("http", "HTTP/1.1 407 Who\r\n\r\n", "wants credentials"),
        ("http", "HTTP/1.1 101 Switching\r\n\r\n", "HTTP status 101"),
        ("http", "SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        ("http", "HTTP/1.1 200 OK\nX: y\n\n", "bare LF"),
        ("http", "HTTP/1.1 200 OK\r\n", "closes the connection"),
        ("http", "\u{5}\u{0}", "malformed"),
        ("http", &endless, "more than 16384 bytes"),
        ("http", &many_fields, "more than 100 fields"),
        ("http", &flood, "interim"),
        ("https", "HTTP/1.1 400 Bad\r\n\r\n", "TLS to it fails"),
        ("socks5", "HTTP/1.1 400 Bad\r\n\r\n", "first byte is 72"),
        ("socks5", "\u{5}", "closes the connection"),
        ("socks5", "\u{5}\u{0}\u{5}\u{0}", "more bytes"),
        ("socks5", "\u{5}\u{2}", "was not offered"),
    ];
    for (scheme, answer, expected) in table {
        let behaviour = Behaviour::Answers(answer.to_owned().into());
        let peer = Peer::plain(behaviour).await.expect("peer");
        let (error, reason) = failure(&format!("{scheme}://{}", peer.address())).await;
        assert!(reason.contains(expected), "{expected}: {reason}");
        let NetError::Proxy(text) = &error else {
            panic!("{expected}: {error:?}")
        };
        assert!(
            !text.contains("127.0.0.1") && !text.contains("103"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_closes_resets_or_is_not_there_is_an_error() {
    let closed = ClosedPort::new().expect("port");
    for scheme in ["http", "https", "socks5"] {
        for behaviour in [Behaviour::ClosesAtOnce, Behaviour::ResetsAtFirstByte] {
            let peer = Peer::plain(behaviour.clone()).await.expect("peer");
            let (error, _) = failure(&format!("{scheme}://{}", peer.address())).await;
            assert!(
                matches!(error, NetError::Proxy(_)),
                "{scheme} {behaviour:?}: {error:?}"
            );
        }
        let (error, reason) = failure(&format!("{scheme}://{}", closed.address())).await;
        assert!(reason.contains("cannot be reached"), "{reason}");
        assert!(matches!(error, NetError::Proxy(text) if text.contains("cannot be reached")));
    }
}

#[tokio::test]
async fn a_proxy_that_sends_without_end_is_an_error_before_the_timeout() {
    for scheme in ["http", "https", "socks5"] {
        let peer = Peer::plain(Behaviour::SendsForever).await.expect("peer");
        let (error, _) = failure(&format!("{scheme}://{}", peer.address())).await;
        assert!(matches!(error, NetError::Proxy(_)), "{scheme}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_arrives_byte_by_byte_opens_the_tunnel() {
    let answer = "HTTP/1.1 200 Connection established\r\nVia: 1.1 slow\r\n\r\nhello";
    let slow = Transport::plain().in_pieces_of(1, Duration::from_millis(1));
    let behaviour = Behaviour::Answers(answer.into());
    let peer = Peer::start(behaviour, slow, eryx_testkit::LOOPBACK)
        .await
        .expect("peer");
    let url = format!("http://{}", peer.address());
    let network = Network::new(&NetConfig::default().with_proxy(url.parse().expect("a URL")));
    let mut connection = connected(&network, "93.184.215.14", 443).await;
    assert_eq!(drain(&mut connection).await, Ok(b"hello".to_vec()));
}

#[tokio::test]
async fn an_answer_that_stops_ends_with_the_connect_timeout() {
    for (scheme, answer) in [("http", "HTTP/1.1 200 OK\r\nVia: 1.1"), ("socks5", "\u{5}")] {
        let stalling = Transport::plain().stalling_after(answer.len() as u64);
        let behaviour = Behaviour::Answers(format!("{answer} and more").into());
        let peer = Peer::start(behaviour, stalling, eryx_testkit::LOOPBACK)
            .await
            .expect("peer");
        let url = format!("{scheme}://{}", peer.address());
        let config = NetConfig::default()
            .with_proxy(url.parse().expect("a URL"))
            .with_connect_timeout(Duration::from_millis(300))
            .expect("a timeout");
        let timed_out = outcome(&Network::new(&config), "93.184.215.14", 443).await;
        assert_eq!(timed_out, Err(NetError::TimedOut));
    }
}
