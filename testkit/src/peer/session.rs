//! One scripted connection: runs a behaviour from the first byte to the last.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::Behaviour;
use super::log::Log;
use crate::accepted_stream::AcceptedStream;
use crate::digest;
use crate::payload;
use crate::throttled_socket::ThrottledSocket;

/// Runs `behaviour`, and returns the number of bytes received and the result.
pub(super) async fn serve(
    stream: AcceptedStream,
    behaviour: Behaviour,
    log: &Log,
) -> (u64, io::Result<()>) {
    let mut session = Session {
        stream,
        log,
        received: 0,
        buffer: vec![0; BUFFER],
    };
    let outcome = session.run(behaviour).await;
    (session.received, outcome)
}

struct Session<'a> {
    stream: AcceptedStream,
    log: &'a Log,
    received: u64,
    buffer: Vec<u8>,
}

impl Session<'_> {
    async fn run(&mut self, behaviour: Behaviour) -> io::Result<()> {
        match behaviour {
            Behaviour::Echo => self.echo().await,
            Behaviour::Silent => self.drain().await,
            Behaviour::NeverReads => {
                let socket = self.stream.socket();
                Err(poll_fn(|cx| socket.poll_client_closed(cx)).await)
            }
            Behaviour::ReadsSlowly { piece, every } => self.receipt(piece.max(1), every).await,
            Behaviour::Receipt => self.receipt(BUFFER, Duration::ZERO).await,
            Behaviour::FinishesFirst { bytes } => {
                self.send_payload(bytes).await?;
                self.stream.shutdown().await?;
                self.drain().await
            }
            Behaviour::SendsForever => self.send_payload(u64::MAX).await,
            Behaviour::ClosesAtOnce => self.stream.shutdown().await,
            Behaviour::ResetsAtFirstByte => {
                self.read(1).await?;
                self.stream.reset_on_close()
            }
            Behaviour::ResetsMidBody { announced, sent } => {
                self.respond(Some(announced), sent).await?;
                self.stream.reset_on_close()
            }
            Behaviour::EndsEarly { announced, sent } => {
                self.respond(Some(announced), sent).await?;
                self.close().await
            }
            Behaviour::BreaksOff { announced, sent } => {
                self.respond(Some(announced), sent).await?;
                self.stream.socket().shutdown().await?;
                self.drain().await
            }
            Behaviour::OmitsCloseNotify { body, announced } => {
                self.respond(announced.then_some(body), body).await?;
                self.stream.socket().shutdown().await?;
                self.drain().await
            }
            Behaviour::Answers(bytes) => {
                self.read(BUFFER).await?;
                self.stream.write_all(&bytes).await?;
                self.close().await
            }
            Behaviour::AnswersWithoutCloseNotify(bytes) => {
                self.read(BUFFER).await?;
                self.stream.write_all(&bytes).await?;
                self.stream.socket().shutdown().await?;
                self.drain().await
            }
            Behaviour::StartsTls(config) => self.start_tls(config).await,
        }
    }

    /// Reads up to `limit` bytes into the front of the buffer. Returns 0 at the end of the stream.
    async fn read(&mut self, limit: usize) -> io::Result<usize> {
        let limit = limit.min(self.buffer.len());
        let count = self.stream.read(&mut self.buffer[..limit]).await?;
        self.received += count as u64;
        self.log.add(count as u64);
        Ok(count)
    }

    async fn drain(&mut self) -> io::Result<()> {
        while self.read(BUFFER).await? > 0 {}
        Ok(())
    }

    /// Closes in order: reads to the end of the stream, since closing with data unread would reset.
    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        self.drain().await
    }

    async fn echo(&mut self) -> io::Result<()> {
        loop {
            let count = self.read(BUFFER).await?;
            if count == 0 {
                return self.stream.shutdown().await;
            }
            self.stream.write_all(&self.buffer[..count]).await?;
            self.stream.flush().await?;
        }
    }

    async fn receipt(&mut self, piece: usize, every: Duration) -> io::Result<()> {
        let mut hash = Sha256::new();
        loop {
            if !every.is_zero() {
                tokio::time::sleep(every).await;
            }
            let count = self.read(piece).await?;
            if count == 0 {
                break;
            }
            hash.update(&self.buffer[..count]);
        }
        let line = format!("{} {}\n", self.received, digest::hex(&hash.finalize()));
        self.stream.write_all(line.as_bytes()).await?;
        self.stream.shutdown().await
    }

    async fn send_payload(&mut self, length: u64) -> io::Result<()> {
        let mut piece = vec![0; BUFFER];
        let mut at = 0;
        while at < length {
            let size = BUFFER.min(usize::try_from(length - at).unwrap_or(BUFFER));
            payload::fill(at, &mut piece[..size]);
            self.stream.write_all(&piece[..size]).await?;
            at += size as u64;
        }
        self.stream.flush().await
    }

    /// Reads the head of a request, and sends the head of a response and `sent` bytes of its body.
    async fn respond(&mut self, announced: Option<u64>, sent: u64) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == MAX_HEAD || self.read(1).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head.push(self.buffer[0]);
        }
        let length = match announced {
            Some(length) => format!("Content-Length: {length}"),
            None => "Connection: close".to_owned(),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{length}\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes()).await?;
        self.send_payload(sent).await
    }

    async fn start_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        let acceptor = TlsAcceptor::from(config);
        loop {
            let Some(line) = self.line().await? else {
                return self.stream.shutdown().await;
            };
            if line.trim_ascii_end() != b"STARTTLS" {
                self.stream.write_all(&line).await?;
                continue;
            }
            self.stream.write_all(b"go ahead\n").await?;
            let mut tls = acceptor
                .accept(BorrowedSocket(self.stream.socket()))
                .await?;
            loop {
                let count = tls.read(&mut self.buffer).await?;
                self.received += count as u64;
                self.log.add(count as u64);
                if count == 0 {
                    break;
                }
                tls.write_all(&self.buffer[..count]).await?;
                tls.flush().await?;
            }
            tls.shutdown().await?;
        }
    }

    /// Reads a line with its end, byte by byte, so that nothing behind it is consumed. Returns
    /// `None` at the end of the stream.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if line.len() == MAX_HEAD || self.read(1).await? == 0 {
                return Ok(None);
            }
            line.push(self.buffer[0]);
        }
        Ok(Some(line))
    }
}

/// A socket lent to TLS: the end of TLS is not the end of the connection.
struct BorrowedSocket<'a>(&'a mut ThrottledSocket);

impl AsyncRead for BorrowedSocket<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for BorrowedSocket<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().0).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Bytes of one read or write at most.
const BUFFER: usize = 64 * 1024;

/// The longest head of a request, and the longest line, in bytes.
const MAX_HEAD: usize = 64 * 1024;
