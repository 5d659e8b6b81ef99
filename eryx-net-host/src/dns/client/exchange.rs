//! One question to one name server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::question::{Question, Reply, Request};

/// The largest message that is read, in bytes: 256 addresses of IPv6 and the longest names fit. A larger
/// one is refused before any of it is read.
const MAX_MESSAGE: usize = 8 << 10;

/// How many messages that are no reply one question looks at: each is a guess of a forger, or garbage.
const MAX_STRAYS: usize = 64;

/// How long one exchange over TCP may take.
const TCP_WAIT: Duration = Duration::from_secs(5);

/// Asks over UDP, for at most `wait`, and over TCP if the reply does not fit into a packet. There is never
/// more than one socket.
pub(super) async fn ask(
    server: SocketAddr,
    question: &Question,
    edns: bool,
    wait: Duration,
) -> io::Result<Reply> {
    let request = question.request(edns).map_err(io::Error::other)?;
    match timeout(wait, over_udp(server, question, &request)).await?? {
        Reply::Truncated => {}
        reply => return Ok(reply),
    }
    match timeout(TCP_WAIT, over_tcp(server, question, &request)).await?? {
        Reply::Truncated => Ok(Reply::Failed("the answer is truncated over TCP too".into())),
        reply => Ok(reply),
    }
}

async fn over_udp(server: SocketAddr, question: &Question, request: &Request) -> io::Result<Reply> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The system picks a port that cannot be guessed, and a connected socket hears the server alone.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&request.bytes).await?;
    let mut buffer = vec![0; MAX_MESSAGE];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some(reply) = question.read(request, bytes) {
            return Ok(reply);
        }
    }
    Ok(Reply::Failed(format!(
        "{MAX_STRAYS} messages came that do not answer the question"
    )))
}

/// RFC 7766: a message is preceded by its length.
async fn over_tcp(server: SocketAddr, question: &Question, request: &Request) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(request.bytes.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes(), &request.bytes[..]].concat())
        .await?;
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_MESSAGE {
        return Ok(Reply::Failed(format!(
            "the answer has {length} bytes, more than the {MAX_MESSAGE} that are read"
        )));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(question
        .read(request, &bytes)
        .unwrap_or_else(|| Reply::Failed("the reply does not answer the question".into())))
}
