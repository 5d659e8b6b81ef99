//! One query to one name server and its response, over UDP or TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{QueryMessage, Question, Response};

/// The largest response, in bytes: 256 IPv6 addresses and the longest names fit. A larger one is
/// rejected before any of it is read.
const MAX_MESSAGE: usize = 8 << 10;

/// The most messages that one query reads before it gives up because none is its response. Such a
/// message is a forger's guess, or garbage.
const MAX_STRAYS: usize = 64;

/// The timeout of one exchange over TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the query over UDP, with a timeout of `udp_timeout`, and over TCP if the response is
/// truncated. Uses one socket at a time.
pub(super) async fn query(
    server: SocketAddr,
    question: &Question,
    edns: bool,
    udp_timeout: Duration,
) -> io::Result<Response> {
    let query = question.query_message(edns).map_err(io::Error::other)?;
    match timeout(udp_timeout, query_udp(server, question, &query)).await?? {
        Response::Truncated => {}
        response => return Ok(response),
    }
    match timeout(TCP_TIMEOUT, query_tcp(server, question, &query)).await?? {
        Response::Truncated => Ok(Response::Failed(
            "the answer is truncated over TCP too".into(),
        )),
        response => Ok(response),
    }
}

async fn query_udp(
    server: SocketAddr,
    question: &Question,
    query: &QueryMessage,
) -> io::Result<Response> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The kernel picks a random port, and a connected socket receives from the server alone.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query.bytes).await?;
    let mut buffer = vec![0; MAX_MESSAGE];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some(response) = question.parse_response(query, bytes) {
            return Ok(response);
        }
    }
    Ok(Response::Failed(format!(
        "received {MAX_STRAYS} messages that do not answer the query"
    )))
}

/// RFC 7766: the length of a message precedes it.
#[allow(
    clippy::disallowed_methods,
    reason = "connects to a name server, which the embedder chooses"
)]
async fn query_tcp(
    server: SocketAddr,
    question: &Question,
    query: &QueryMessage,
) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.bytes.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes(), &query.bytes[..]].concat())
        .await?;
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_MESSAGE {
        return Ok(Response::Failed(format!(
            "the answer has {length} bytes, more than the limit of {MAX_MESSAGE}"
        )));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(question
        .parse_response(query, &bytes)
        .unwrap_or_else(|| Response::Failed("the response does not answer the query".into())))
}
