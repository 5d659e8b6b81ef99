//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use eryx_sync::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ProxyRequest, Rules};
use crate::accepted_stream::AcceptedStream;

/// Has the conversation, and returns the connection to the target.
pub(super) async fn accept(
    stream: &mut AcceptedStream,
    rules: &Rules,
    log: &Mutex<Vec<ProxyRequest>>,
) -> io::Result<Option<TcpStream>> {
    let [_, count] = read(stream).await?;
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods).await?;
    let method = if rules.credentials.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        send(stream, &[5, 0xff]).await?;
        return Ok(None);
    }
    send(stream, &[5, method]).await?;
    let mut credentials = None;
    if method == 2 {
        let _version = stream.read_u8().await?;
        let user = text(stream).await?;
        let password = text(stream).await?;
        credentials = Some(format!("{user}:{password}"));
        let accepted = rules.accepts(credentials.as_deref());
        send(stream, &[1, u8::from(!accepted)]).await?;
        if !accepted {
            return Ok(None);
        }
    }
    let [_, _, _, kind] = read(stream).await?;
    let target = match kind {
        1 => {
            let address = Ipv4Addr::from(read::<4>(stream).await?);
            SocketAddr::from((address, stream.read_u16().await?)).to_string()
        }
        4 => {
            let address = Ipv6Addr::from(read::<16>(stream).await?);
            SocketAddr::from((address, stream.read_u16().await?)).to_string()
        }
        _ => {
            let name = text(stream).await?;
            format!("{name}:{}", stream.read_u16().await?)
        }
    };
    log.lock().push(ProxyRequest {
        target: target.clone(),
        credentials,
    });
    let (reply, connected) = match rules.connect(&target).await {
        Ok(Some(connected)) => (0, Some(connected)),
        // A reply is one byte.
        Ok(None) => (rules.refusal as u8, None),
        Err(_) => (5, None),
    };
    send(stream, &[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(connected)
}

async fn read<const N: usize>(stream: &mut AcceptedStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads a text behind its length.
async fn text(stream: &mut AcceptedStream) -> io::Result<String> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

async fn send(stream: &mut AcceptedStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
