use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::ca::{CertificateAuthority, Leaf};
use crate::digest;
use crate::listener::LOOPBACK_V6;
use crate::payload;

/// Sends `requests` over one connection, and returns everything received up to its end.
async fn exchange<S>(mut stream: S, requests: &[u8]) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(requests).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}

async fn fetch(server: &HttpServer, request: &[u8]) -> (String, Vec<u8>) {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    split(exchange(stream, request).await)
}

fn split(answer: Vec<u8>) -> (String, Vec<u8>) {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head.to_lowercase(), answer[end..].to_vec())
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}

async fn connect(
    server: &HttpServer,
    config: rustls::ClientConfig,
    name: &'static str,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address()).await?;
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn each_route_responds_as_documented() {
    let server = HttpServer::http().await.unwrap();
    let cases: &[(&str, &str, &[u8])] = &[
        ("/wait/1", "http/1.1 200", b"ok"),
        ("/together/1", "http/1.1 200", b"ok"),
        ("/status/418", "http/1.1 418", b"as you wish"),
        ("/status/204", "http/1.1 204", b""),
        (
            "/json",
            "content-type: application/json",
            br#"{"greeting":"hello","numbers":[1,2,3]}"#,
        ),
        ("/redirect/2", "location: /redirect/1", b"redirected"),
        (
            "/status/99",
            "http/1.1 400",
            b"the number in this path is missing or out of range",
        ),
        (
            "/bytes/x",
            "http/1.1 400",
            b"the number in this path is missing or out of range",
        ),
        ("/drip?n=x", "http/1.1 400", b"n and ms are whole numbers"),
        ("/nowhere", "http/1.1 404", b"there is no such route"),
        ("/close", "connection: close", routes_page()),
        ("/redirect/0", "http/1.1 200", routes_page()),
        ("/", "content-type: text/html", routes_page()),
    ];
    for (path, in_head, body) in cases {
        let (head, answer) = fetch(&server, &get(path)).await;
        assert!(head.contains(in_head), "{path}: {head}");
        assert_eq!(answer, *body, "{path}");
    }
    assert_eq!(server.requests(), cases.len());
    assert_eq!(server.connections(), cases.len());
}

fn routes_page() -> &'static [u8] {
    // Other tests look for these words.
    assert!(super::routes::PAGE.contains("<h1>Example Domain</h1>"));
    super::routes::PAGE.as_bytes()
}

#[tokio::test]
async fn the_bytes_route_sends_the_payload_with_a_content_length() {
    let server = HttpServer::http().await.unwrap();
    for length in [0, 1, 200_000] {
        let (head, body) = fetch(&server, &get(&format!("/bytes/{length}"))).await;
        assert!(
            head.contains(&format!("content-length: {length}\r\n")),
            "{head}"
        );
        assert_eq!(body, payload::bytes(length));
    }
}

#[tokio::test]
async fn the_chunked_route_sends_the_payload_in_chunks() {
    let server = HttpServer::http().await.unwrap();
    let (head, body) = fetch(&server, &get("/chunked/200000")).await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert_eq!(dechunked(&body), payload::bytes(200_000));
}

#[tokio::test]
async fn the_gzip_route_decodes_to_the_page_or_the_payload() {
    let server = HttpServer::http().await.unwrap();
    for (path, expected) in [
        ("/gzip", routes_page().to_vec()),
        ("/gzip/5000", payload::bytes(5000)),
    ] {
        let (head, body) = fetch(&server, &get(path)).await;
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let mut decoded = Vec::new();
        io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut decoded).unwrap();
        assert_eq!(decoded, expected, "{path}");
    }
}

#[tokio::test]
async fn the_drip_route_sends_single_bytes() {
    let server = HttpServer::http().await.unwrap();
    for milliseconds in [0, 5] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(&get(&format!("/drip?n=5&ms={milliseconds}")))
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(&payload::bytes(5)));
    }
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&get("/drip?n=3&ms=50")).await.unwrap();
    let mut buffer = [0; 4096];
    let mut sizes = Vec::new();
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            size => sizes.push(size),
        }
    }
    assert_eq!(sizes[sizes.len() - 3..], [1, 1, 1], "{sizes:?}");
}

#[tokio::test]
async fn the_upload_route_returns_length_and_digest() {
    let server = HttpServer::http().await.unwrap();
    let body = payload::bytes(300_000);
    let mut request =
        b"PUT /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n"
            .to_vec();
    request.extend_from_slice(&body);
    let (_, answer) = fetch(&server, &request).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["length"], 300_000);
    assert_eq!(answer["sha256"], digest::sha256(&body));
}

#[tokio::test]
async fn the_echo_route_returns_body_and_content_type() {
    let server = HttpServer::http().await.unwrap();
    let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/x-test\r\nContent-Length: 5\r\n\r\nhello";
    let (head, body) = fetch(&server, request).await;
    assert!(head.contains("content-type: text/x-test"), "{head}");
    assert_eq!(dechunked_or_plain(&head, &body), b"hello");
}

fn dechunked_or_plain(head: &str, body: &[u8]) -> Vec<u8> {
    if head.contains("transfer-encoding: chunked") {
        dechunked(body)
    } else {
        body.to_vec()
    }
}

#[tokio::test]
async fn the_headers_route_joins_values_under_lower_case_names() {
    let server = HttpServer::http().await.unwrap();
    let request =
        b"GET /headers HTTP/1.1\r\nHost: a\r\nX-Two: 1\r\nx-two: 2\r\nConnection: close\r\n\r\n";
    let (_, body) = fetch(&server, request).await;
    let headers: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(headers["x-two"], "1, 2");
    assert_eq!(headers["host"], "a");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = HttpServer::http().await.unwrap();
    let mut requests = b"GET /status/200 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(99);
    requests.extend_from_slice(&get("/status/200"));
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let answer = exchange(stream, &requests).await;
    let answers = String::from_utf8(answer)
        .unwrap()
        .matches("as you wish")
        .count();
    assert_eq!(
        (answers, server.requests(), server.connections()),
        (100, 100, 1)
    );
}

#[tokio::test]
async fn concurrent_requests_are_counted() {
    let server = HttpServer::http().await.unwrap();
    fetch(&server, &get("/wait/0")).await;
    fetch(&server, &get("/wait/0")).await;
    assert_eq!(server.max_concurrent(), 1);
    let request = get("/together/3");
    let answers = tokio::join!(
        fetch(&server, &request),
        fetch(&server, &request),
        fetch(&server, &request)
    );
    assert_eq!(
        [answers.0.1, answers.1.1, answers.2.1],
        [b"ok", b"ok", b"ok"]
    );
    assert_eq!(server.max_concurrent(), 3);
}

#[tokio::test]
async fn the_together_route_waits_for_the_other_request() {
    let server = HttpServer::http().await.unwrap();
    let request = get("/together/2");
    let alone = tokio::time::timeout(Duration::from_millis(100), fetch(&server, &request)).await;
    assert!(alone.is_err(), "one request was taken for two");
}

#[tokio::test]
async fn an_http_server_listens_on_ipv6() {
    let server = HttpServer::start(Transport::plain(), LOOPBACK_V6)
        .await
        .unwrap();
    assert_eq!(
        server.url("::1", "/"),
        format!("http://[::1]:{}/", server.port())
    );
    let (_, body) = fetch(&server, &get("/")).await;
    assert_eq!(body, routes_page());
}

#[tokio::test]
async fn a_dropped_http_server_stops_listening_and_ends_its_connections() {
    let server = HttpServer::http().await.unwrap();
    let address = server.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    idle.read_u8().await.unwrap();
    assert_eq!(server.open(), 1);
    drop(server);
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_https_server_is_trusted_through_its_ca_and_verifies_the_client() {
    let ca = CertificateAuthority::new().unwrap();
    let identity = ca.issue(&Leaf::server(["localhost", "127.0.0.1"])).unwrap();
    let visitor = ca.issue(&Leaf::client("visitor")).unwrap();
    let tls = ServerTls::new(&identity)
        .alpn(["http/1.1"])
        .require_client(&ca)
        .build()
        .unwrap();
    let server = HttpServer::start(Transport::tls(tls), LOOPBACK)
        .await
        .unwrap();
    assert!(server.url("localhost", "/").starts_with("https://"));

    let trusting = ca.client_config().unwrap();
    let mut config =
        rustls::ClientConfig::builder_with_provider(Arc::clone(trusting.crypto_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates({
                let mut roots = rustls::RootCertStore::empty();
                roots.add(ca.der()).unwrap();
                roots
            })
            .with_client_auth_cert(visitor.chain().to_vec(), visitor.key())
            .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = connect(&server, config, "localhost").await.unwrap();
    let (_, body) = split(exchange(stream, &get("/connection")).await);
    let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["tls"]["version"], "TLSv1_3");
    assert_eq!(seen["tls"]["alpn"], "http/1.1");
    assert_eq!(seen["tls"]["sni"], "localhost");
    assert_eq!(seen["tls"]["resumed"], false);
    assert_eq!(seen["tls"]["client"], digest::sha256(&visitor.chain()[0]));

    // In TLS 1.3 the client receives the alert only when it reads.
    let mut rejected = connect(&server, trusting, "localhost").await.unwrap();
    assert!(rejected.read_u8().await.is_err());
    assert_eq!(server.handshake_failures().len(), 1);
}

#[tokio::test]
async fn each_faulty_certificate_is_rejected_for_its_fault() {
    let ca = CertificateAuthority::new().unwrap();
    let stranger = CertificateAuthority::new().unwrap();
    let localhost = Leaf::server(["localhost"]);
    let cases = [
        (ca.issue(&localhost), ""),
        (
            ca.intermediate()
                .unwrap()
                .intermediate()
                .unwrap()
                .issue(&localhost),
            "",
        ),
        (
            ca.issue(&localhost.clone().expired()),
            "certificate expired",
        ),
        (
            ca.issue(&localhost.clone().not_yet_valid()),
            "not valid yet",
        ),
        (
            ca.issue(&Leaf::server(["other.example"])),
            "not valid for name",
        ),
        (localhost.self_signed(), "UnknownIssuer"),
        (stranger.issue(&localhost), "UnknownIssuer"),
        (
            ca.issue(&Leaf::client("localhost")),
            "certificate does not allow extended key usage",
        ),
    ];
    for (identity, expected) in cases {
        let server = HttpServer::https(&identity.unwrap()).await.unwrap();
        let outcome = connect(&server, ca.client_config().unwrap(), "localhost").await;
        let message = outcome
            .err()
            .map_or(String::new(), |error| error.to_string());
        assert!(
            message.contains(expected) && message.is_empty() == expected.is_empty(),
            "{expected}: {message}"
        );
    }
}

#[tokio::test]
async fn a_second_connection_resumes_the_session_of_the_first() {
    let ca = CertificateAuthority::new().unwrap();
    let server = HttpServer::https(&ca.issue(&Leaf::server(["localhost"])).unwrap())
        .await
        .unwrap();
    let config = ca.client_config().unwrap();
    for resumed in [0, 1] {
        let stream = connect(&server, config.clone(), "localhost").await.unwrap();
        exchange(stream, &get("/")).await;
        assert_eq!(server.resumed(), resumed);
    }
}

#[tokio::test]
async fn an_unsupported_alpn_protocol_fails_the_handshake() {
    let ca = CertificateAuthority::new().unwrap();
    let server = HttpServer::https(&ca.issue(&Leaf::server(["localhost"])).unwrap())
        .await
        .unwrap();
    let mut config = ca.client_config().unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = connect(&server, config, "localhost").await.unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
}

#[tokio::test]
async fn tls_in_single_byte_segments_arrives_complete() {
    let ca = CertificateAuthority::new().unwrap();
    let identity = ca.issue(&Leaf::server(["localhost"])).unwrap();
    let transport =
        Transport::tls(ServerTls::new(&identity).build().unwrap()).in_pieces_of(1, Duration::ZERO);
    let server = HttpServer::start(transport, LOOPBACK).await.unwrap();
    let stream = connect(&server, ca.client_config().unwrap(), "localhost")
        .await
        .unwrap();
    let (_, body) = split(exchange(stream, &get("/bytes/3000")).await);
    assert_eq!(body, payload::bytes(3000));
}

#[tokio::test]
async fn a_throttled_transport_sends_pieces_with_a_delay() {
    let transport = Transport::plain().in_pieces_of(1, Duration::from_millis(20));
    let server = HttpServer::start(transport, LOOPBACK).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&get("/")).await.unwrap();
    let mut buffer = [0; 64];
    for _ in 0..3 {
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_stalling_transport_hangs_the_handshake_until_the_client_closes() {
    let ca = CertificateAuthority::new().unwrap();
    let identity = ca.issue(&Leaf::server(["localhost"])).unwrap();
    let transport = Transport::tls(ServerTls::new(&identity).build().unwrap()).stalling_after(100);
    let server = HttpServer::start(transport, LOOPBACK).await.unwrap();
    let handshake = connect(&server, ca.client_config().unwrap(), "localhost");
    assert!(
        tokio::time::timeout(Duration::from_millis(200), handshake)
            .await
            .is_err()
    );
    // The client has closed the connection, and the server notices it.
    tokio::time::timeout(Duration::from_secs(5), async {
        while server.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}
