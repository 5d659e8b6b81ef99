//! Tests of the proxies.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::peer::{Behaviour, Peer};

/// Sends each message and reads as many bytes as its answer has.
async fn converse(proxy: &Proxy, messages: &[(&[u8], &[u8])]) -> TcpStream {
    let mut client = TcpStream::connect(proxy.address())
        .await
        .expect("connected");
    for (message, expected) in messages {
        client.write_all(message).await.expect("written");
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).await.expect("answered");
        assert_eq!(answer, *expected, "{}", String::from_utf8_lossy(&answer));
    }
    client
}

#[tokio::test]
async fn an_http_proxy_checks_credentials_and_connects_along_routes() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let proxy = Proxy::http()
        .credentials("user:pass")
        .route("a.test:80", peer.address());
    let proxy = proxy.start().await.expect("proxy");
    let no_credentials = b"CONNECT a.test:80 HTTP/1.1\r\n\r\n";
    converse(&proxy, &[(no_credentials, b"HTTP/1.1 407")]).await;
    let authorized = |target: &str| {
        format!("CONNECT {target} HTTP/1.1\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n")
    };
    converse(
        &proxy,
        &[(authorized("b.test:80").as_bytes(), b"HTTP/1.1 502")],
    )
    .await;
    let opened = b"HTTP/1.1 200 Answer\r\n\r\n";
    let request = authorized("a.test:80");
    converse(
        &proxy,
        &[(request.as_bytes(), opened), (b"hello", b"hello")],
    )
    .await;
    assert_eq!(proxy.targets(), ["a.test:80", "b.test:80", "a.test:80"]);
    let last = proxy.requests().pop().expect("a request");
    assert_eq!(last.credentials.as_deref(), Some("user:pass"));
}

#[tokio::test]
async fn a_socks_proxy_checks_credentials_and_connects_along_routes() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let proxy = Proxy::socks5()
        .credentials("u:p")
        .route("a.test:80", peer.address());
    let proxy = proxy.start().await.expect("proxy");
    converse(&proxy, &[(b"\x05\x01\x00", b"\x05\xff")]).await;
    let method: (&[u8], &[u8]) = (b"\x05\x02\x00\x02", b"\x05\x02");
    converse(&proxy, &[method, (b"\x01\x01u\x01x", b"\x01\x01")]).await;
    let accepted: (&[u8], &[u8]) = (b"\x01\x01u\x01p", b"\x01\x00");
    let request = b"\x05\x01\x00\x03\x06a.test\x00\x50";
    let granted = b"\x05\x00\x00\x01\0\0\0\0\0\0";
    let echo: (&[u8], &[u8]) = (b"hello", b"hello");
    converse(&proxy, &[method, accepted, (request, granted), echo]).await;
    let other = b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50";
    converse(&proxy, &[method, accepted, (other, b"\x05\x04")]).await;
    assert_eq!(proxy.targets(), ["a.test:80", "1.2.3.4:80"]);
}
