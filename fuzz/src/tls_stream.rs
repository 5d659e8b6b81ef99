//! TLS over a transport that stalls, ends and fails.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use eryx_tls::{ClientSettings, Connector, Handshake, INCOMING_LIMIT, TlsError, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls_pair::{TlsPair, Transport};

/// Runs a script on a stream and its peer.
pub fn run(script: &[u8]) {
    TlsPair::<StreamClient>::run(script);
}

/// A transport in memory, which moves as much as the script permits.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<PipeState>>);

#[derive(Default)]
struct PipeState {
    /// Bytes for the client to read.
    inbound: Vec<u8>,
    /// Bytes that the client has written.
    outbound: Vec<u8>,
    /// The number of bytes that the client can write before it has to wait.
    capacity: usize,
    ended: bool,
    failed: bool,
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        assert!(
            buf.remaining() > 0,
            "a read into an empty buffer cannot report the end"
        );
        if !pipe.inbound.is_empty() {
            let count = buf.remaining().min(pipe.inbound.len());
            buf.put_slice(&pipe.inbound[..count]);
            pipe.inbound.drain(..count);
            return Poll::Ready(Ok(()));
        }
        if pipe.failed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if pipe.ended {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut pipe = self.0.borrow_mut();
        if pipe.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = data.len().min(pipe.capacity);
        if count == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        pipe.capacity -= count;
        pipe.outbound.extend_from_slice(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

enum State {
    Handshaking(Handshake<Pipe>),
    Established(TlsStream<Pipe>),
    Failed,
}

struct StreamClient {
    state: State,
    pipe: Pipe,
    /// Set by `close`.
    closed: bool,
    /// Writing or flushing has failed.
    write_failed: bool,
    /// An error that the pair has not checked yet.
    error: Option<TlsError>,
}

impl StreamClient {
    /// Drives the handshake, and returns the stream once it is complete.
    fn stream(&mut self) -> Option<&mut TlsStream<Pipe>> {
        if let State::Handshaking(handshake) = &mut self.state {
            match handshake.poll_handshake(&mut context()) {
                Poll::Pending => {}
                Poll::Ready(Ok(stream)) => self.state = State::Established(stream),
                Poll::Ready(Err(error)) => {
                    self.error = Some(error);
                    self.state = State::Failed;
                }
            }
        }
        match &mut self.state {
            State::Established(stream) => Some(stream),
            State::Handshaking(_) | State::Failed => None,
        }
    }
}

impl Transport for StreamClient {
    const HAS_IO: bool = true;

    fn new(connector: &Connector, settings: &ClientSettings) -> Self {
        let pipe = Pipe::default();
        let handshake = connector
            .upgrade(settings, pipe.clone())
            .expect("valid settings");
        Self {
            state: State::Handshaking(handshake),
            pipe,
            closed: false,
            write_failed: false,
            error: None,
        }
    }

    fn deliver(&mut self, in_flight: &mut Vec<u8>, count: usize) -> Result<usize, TlsError> {
        // Nothing arrives after the end.
        if self.is_interrupted() {
            return Ok(0);
        }
        let count = count.min(in_flight.len());
        let mut pipe = self.pipe.0.borrow_mut();
        pipe.inbound.extend(in_flight.drain(..count));
        Ok(count)
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let capacity = self.pipe.0.borrow().capacity.saturating_add(count);
        self.pipe.0.borrow_mut().capacity = capacity;
        if let Some(stream) = self.stream()
            && let Poll::Ready(Err(error)) = stream.poll_flush(&mut context())
        {
            self.error = Some(error);
            self.write_failed = true;
        }
        std::mem::take(&mut self.pipe.0.borrow_mut().outbound)
    }

    fn end(&mut self) {
        self.pipe.0.borrow_mut().ended = true;
    }

    fn fail(&mut self) {
        self.pipe.0.borrow_mut().failed = true;
    }

    fn is_interrupted(&self) -> bool {
        let pipe = self.pipe.0.borrow();
        pipe.ended || pipe.failed
    }

    fn is_established(&mut self) -> bool {
        self.stream().is_some()
    }

    fn pending(&self) -> usize {
        match &self.state {
            State::Established(stream) => stream.pending(),
            State::Handshaking(_) | State::Failed => 0,
        }
    }

    fn take_error(&mut self) -> Option<TlsError> {
        self.error.take()
    }

    fn read(&mut self, max: usize) -> Option<Poll<Result<Vec<u8>, TlsError>>> {
        let mut buf = vec![0; max];
        let outcome = self.stream()?.poll_read(&mut context(), &mut buf);
        Some(outcome.map_ok(|count| {
            buf.truncate(count);
            buf
        }))
    }

    fn write(&mut self, data: &[u8]) -> Option<Poll<Result<usize, TlsError>>> {
        let outcome = self.stream()?.poll_write(&mut context(), data);
        if let Poll::Ready(Err(_)) = outcome {
            self.write_failed |= !self.closed;
        }
        Some(outcome)
    }

    fn close(&mut self) -> Option<Poll<Result<(), TlsError>>> {
        let outcome = self.stream()?.poll_close(&mut context());
        self.closed = true;
        Some(outcome)
    }

    /// Checks that the stream is readable and writable if it reports so.
    fn wait(pair: &mut TlsPair<Self>) {
        let Some(stream) = pair.client.stream() else {
            return;
        };
        let readable = stream.poll_readable(&mut context()).is_ready();
        let writable = stream.poll_writable(&mut context()).is_ready();
        if writable {
            assert!(!stream.wants_flush());
            let before = pair.written;
            pair.write(1);
            let ended = pair.closed || pair.client.write_failed || pair.read_error.is_some();
            assert!(pair.written > before || ended || !pair.peer.honest);
        }
        if readable {
            assert!(pair.read(1), "readable, but nothing to read");
        }
    }

    fn finish(pair: TlsPair<Self>) {
        if let State::Established(stream) = pair.client.state {
            let (_, rest) = stream.into_inner();
            assert!(rest.len() <= INCOMING_LIMIT);
        }
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
