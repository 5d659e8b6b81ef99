//! The routes of the HTTP server.

use std::convert::Infallible;
use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use hyper::{HeaderMap, Request, Response, StatusCode};
use rustls::{HandshakeKind, ServerConnection};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::body::{AnyBody, PayloadBody, full};
use super::stats::Stats;
use crate::accepted_stream::AcceptedStream;
use crate::digest;
use crate::payload;

/// The properties of a connection before its first request.
#[derive(Debug)]
pub(super) struct Connection {
    /// The number of the connection in the order of acceptance, from 1.
    pub(super) number: usize,
    pub(super) peer: SocketAddr,
    pub(super) tls: Option<TlsConnection>,
}

/// The result of the TLS handshake.
#[derive(Debug)]
pub(super) struct TlsConnection {
    resumed: bool,
    description: Value,
}

impl TlsConnection {
    pub(super) fn from_stream(stream: &AcceptedStream) -> Option<Self> {
        let tls = stream.tls()?;
        let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        Some(Self {
            resumed,
            description: describe(tls, resumed),
        })
    }

    pub(super) fn resumed(&self) -> bool {
        self.resumed
    }
}

/// Responds to one request. Invalid requests get status 400 or 404 with a message.
pub(super) async fn respond(
    request: Request<Incoming>,
    connection: &Connection,
    stats: &Stats,
) -> Result<Response<AnyBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let (route, argument) = match path[1..].split_once('/') {
        Some((route, argument)) => (route, Some(argument)),
        None => (path.get(1..).unwrap_or_default(), None),
    };
    let number = argument.and_then(|text| text.parse::<u64>().ok());
    Ok(match (route, argument, number) {
        ("", None, _) => page(),
        ("bytes", _, Some(length)) => binary(PayloadBody::new(length, true).boxed_unsync()),
        ("chunked", _, Some(length)) => binary(PayloadBody::new(length, false).boxed_unsync()),
        ("gzip", None, _) => gzip("text/html", PAGE.as_bytes()),
        ("gzip", _, Some(length @ 0..=MAX_GZIP)) => {
            gzip("application/octet-stream", &payload::bytes(length as usize))
        }
        ("drip", None, _) => drip(request.uri().query().unwrap_or_default()),
        ("upload", None, _) => upload(request.into_body()).await,
        ("echo", None, _) => echo(request),
        ("wait", _, Some(milliseconds)) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            text(StatusCode::OK, "ok")
        }
        ("together", _, Some(size @ 1..=MAX_TOGETHER)) => {
            if stats.gather(size as usize).await {
                text(StatusCode::OK, "ok")
            } else {
                text(
                    StatusCode::GATEWAY_TIMEOUT,
                    "the other requests did not come",
                )
            }
        }
        ("redirect", _, Some(0)) => page(),
        ("redirect", _, Some(left)) => redirect(left),
        ("status", _, Some(code @ 200..=599)) => status(code),
        ("json" | "data", None, _) => json(&json!({"greeting": "hello", "numbers": [1, 2, 3]})),
        ("authorization", None, _) => authorization(request.headers()),
        ("headers", None, _) => json(&headers(request.headers())),
        ("connection", None, _) => json(&json!({
            "number": connection.number,
            "peer": connection.peer.to_string(),
            "tls": connection.tls.as_ref().map(|tls| &tls.description),
        })),
        ("close", None, _) => with(page(), CONNECTION, "close"),
        ("bytes" | "chunked" | "gzip" | "wait" | "together" | "redirect" | "status", ..) => text(
            StatusCode::BAD_REQUEST,
            "the number in this path is missing or out of range",
        ),
        _ => text(StatusCode::NOT_FOUND, "there is no such route"),
    })
}

fn page() -> Response<AnyBody> {
    with(
        Response::new(full(PAGE)),
        CONTENT_TYPE,
        "text/html; charset=utf-8",
    )
}

fn text(status: StatusCode, content: &'static str) -> Response<AnyBody> {
    let mut response = Response::new(full(content));
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, "text/plain; charset=utf-8")
}

fn json(content: &Value) -> Response<AnyBody> {
    with(
        Response::new(full(content.to_string())),
        CONTENT_TYPE,
        "application/json",
    )
}

fn binary(body: AnyBody) -> Response<AnyBody> {
    with(
        Response::new(body),
        CONTENT_TYPE,
        "application/octet-stream",
    )
}

fn gzip(kind: &'static str, content: &[u8]) -> Response<AnyBody> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    match encoder.write_all(content).and_then(|()| encoder.finish()) {
        Ok(encoded) => {
            let response = with(Response::new(full(encoded)), CONTENT_ENCODING, "gzip");
            with(response, CONTENT_TYPE, kind)
        }
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the body could not be compressed",
        ),
    }
}

/// Returns the SHA-256 of the credentials, or 401 without credentials.
fn authorization(headers: &HeaderMap) -> Response<AnyBody> {
    match headers.get(AUTHORIZATION) {
        None => text(StatusCode::UNAUTHORIZED, "there are no credentials"),
        Some(credentials) => {
            let digest = digest::hex(&Sha256::digest(credentials.as_bytes()));
            with(Response::new(full(digest)), CONTENT_TYPE, "text/plain")
        }
    }
}

fn drip(query: &str) -> Response<AnyBody> {
    let setting = |name: &str, default| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        match pairs.find(|(key, _)| *key == name) {
            None => Some(default),
            Some((_, value)) => value.parse::<u64>().ok(),
        }
    };
    match (setting("n", 10), setting("ms", 0)) {
        (Some(count), Some(milliseconds)) => {
            binary(PayloadBody::dripping(count, Duration::from_millis(milliseconds)).boxed_unsync())
        }
        _ => text(StatusCode::BAD_REQUEST, "n and ms are whole numbers"),
    }
}

async fn upload(mut body: Incoming) -> Response<AnyBody> {
    let mut length = 0;
    let mut hash = Sha256::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return text(StatusCode::BAD_REQUEST, "the body broke off");
        };
        if let Some(data) = frame.data_ref() {
            length += data.len() as u64;
            hash.update(data);
        }
    }
    json(&json!({"length": length, "sha256": digest::hex(&hash.finalize())}))
}

fn echo(request: Request<Incoming>) -> Response<AnyBody> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(body.map_err(io::Error::other).boxed_unsync());
    if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
        response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    response
}

fn redirect(left: u64) -> Response<AnyBody> {
    let mut response = text(StatusCode::FOUND, "redirected");
    // Digits after a slash are a valid header value.
    if let Ok(location) = HeaderValue::try_from(format!("/redirect/{}", left - 1)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn status(code: u64) -> Response<AnyBody> {
    match u16::try_from(code).map(StatusCode::from_u16) {
        Ok(Ok(code)) => text(
            code,
            if matches!(code.as_u16(), 204 | 304) {
                ""
            } else {
                "as you wish"
            },
        ),
        _ => text(StatusCode::BAD_REQUEST, "there is no such status"),
    }
}

fn headers(headers: &HeaderMap) -> Value {
    let mut object = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        object.insert(name.to_string(), values.join(", ").into());
    }
    object.into()
}

fn with(
    mut response: Response<AnyBody>,
    name: HeaderName,
    value: &'static str,
) -> Response<AnyBody> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}

fn describe(tls: &ServerConnection, resumed: bool) -> Value {
    json!({
        "version": tls.protocol_version().map(|version| format!("{version:?}")),
        "cipher": tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())),
        "alpn": tls.alpn_protocol().map(String::from_utf8_lossy),
        "sni": tls.server_name(),
        "resumed": resumed,
        "client": tls
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|certificate| digest::sha256(certificate)),
    })
}

/// The maximum length of a compressed body, in bytes: it is generated in memory.
const MAX_GZIP: u64 = 64 << 20;

/// The maximum number of requests that `/together` waits for.
const MAX_TOGETHER: u64 = 10_000;

/// The page of `/`.
pub(super) const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Example Domain</title></head>
<body>
<h1>Example Domain</h1>
<p>A page for tests. It came over loopback.</p>
</body>
</html>
";
