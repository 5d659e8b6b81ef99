//! `CONNECT` of HTTP/1.1 (RFC 9110, 9.3.6), with Basic credentials (RFC 7617).

use std::io;

use data_encoding::BASE64;
use eryx_sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ProxyRequest, Rules};
use crate::accepted_stream::AcceptedStream;

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Answers the request, and returns the connection to its target.
pub(super) async fn accept(
    stream: &mut AcceptedStream,
    rules: &Rules,
    log: &Mutex<Vec<ProxyRequest>>,
) -> io::Result<Option<TcpStream>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let (line, fields) = head.split_once("\r\n").unwrap_or_default();
    let target = line
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
        .ok_or(io::ErrorKind::InvalidData)?;
    let credentials = fields.lines().find_map(|field| {
        let encoded = field.strip_prefix("Proxy-Authorization: Basic ")?;
        String::from_utf8(BASE64.decode(encoded.as_bytes()).ok()?).ok()
    });
    log.lock().push(ProxyRequest {
        target: target.to_owned(),
        credentials: credentials.clone(),
    });
    if !rules.accepts(credentials.as_deref()) {
        answer(stream, 407, "Proxy-Authenticate: Basic realm=\"test\"\r\n").await?;
        return Ok(None);
    }
    let connected = rules.connect(target).await;
    match connected {
        Ok(Some(target)) => {
            answer(stream, 200, "").await?;
            Ok(Some(target))
        }
        Ok(None) => {
            answer(stream, rules.refusal, "Content-Length: 0\r\n").await?;
            Ok(None)
        }
        Err(_) => {
            answer(stream, 503, "Content-Length: 0\r\n").await?;
            Ok(None)
        }
    }
}

async fn answer(stream: &mut AcceptedStream, status: u16, fields: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status} Answer\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}
