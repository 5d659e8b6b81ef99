//! TLS over a transport of its own.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use eryx_tls::{Handshake, INCOMING_LIMIT, TlsError, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    peer::{Peer, content, meet},
    script::{Script, Step},
};

/// Lets a script happen to a stream and its peer.
pub fn run(script: &[u8]) {
    let mut script = Script::new(script);
    let Some(kind) = script.byte() else {
        return;
    };
    let (peer, connector, settings) = meet(kind);
    let wire = Wire::default();
    let handshake = connector
        .upgrade(&settings, wire.clone())
        .expect("good settings");
    let mut pair = Pair {
        client: Client::Shaking(handshake),
        wire,
        peer,
        read: 0,
        written: 0,
        closed: false,
        read_failure: None,
        write_failure: None,
        finished: false,
    };
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        if !pair.peer.take_part(step, &mut script) {
            pair.step(step);
        }
        if let Client::Established(stream) = &pair.client {
            assert!(stream.pending() <= INCOMING_LIMIT);
        }
    }
    pair.finish();
}

/// A transport of which a script says how much it moves.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Ends>>);

#[derive(Default)]
struct Ends {
    /// For the client to read.
    inbound: Vec<u8>,
    /// What the client wrote.
    outbound: Vec<u8>,
    /// How much more the client can write before it has to wait.
    room: usize,
    ended: bool,
    failed: bool,
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ends = self.0.borrow_mut();
        assert!(
            buf.remaining() > 0,
            "a read without room cannot tell the end"
        );
        if !ends.inbound.is_empty() {
            let count = buf.remaining().min(ends.inbound.len());
            buf.put_slice(&ends.inbound[..count]);
            ends.inbound.drain(..count);
            return Poll::Ready(Ok(()));
        }
        if ends.failed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if ends.ended {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut ends = self.0.borrow_mut();
        if ends.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = data.len().min(ends.room);
        if count == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        ends.room -= count;
        ends.outbound.extend_from_slice(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

enum Client {
    Shaking(Handshake<Wire>),
    Established(TlsStream<Wire>),
    Failed,
}

struct Pair {
    client: Client,
    wire: Wire,
    peer: Peer,
    read: usize,
    written: usize,
    closed: bool,
    read_failure: Option<String>,
    write_failure: Option<String>,
    finished: bool,
}

impl Pair {
    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver(count) => {
                self.deliver(count);
            }
            Step::Carry(count) => {
                self.wire.0.borrow_mut().room += count;
                self.carry();
            }
            Step::Settle => self.settle(),
            Step::End => self.wire.0.borrow_mut().ended = true,
            Step::Fail => self.wire.0.borrow_mut().failed = true,
            Step::Read(count) => {
                self.read(count);
            }
            Step::Write(count) => self.write(count),
            Step::Close => self.close(),
            _ => self.wait(),
        }
    }

    fn deliver(&mut self, count: usize) -> usize {
        let mut ends = self.wire.0.borrow_mut();
        // What comes after the end does not come.
        if ends.ended || ends.failed {
            return 0;
        }
        let count = count.min(self.peer.under_way.len());
        ends.inbound.extend(self.peer.under_way.drain(..count));
        count
    }

    /// Lets the client send what it has, and the peer have it.
    fn carry(&mut self) -> usize {
        if let Some(stream) = self.established() {
            let cx = &mut Context::from_waker(Waker::noop());
            if let Poll::Ready(Err(error)) = stream.poll_flush(cx) {
                self.write_failed(&error);
            }
        }
        let sent = std::mem::take(&mut self.wire.0.borrow_mut().outbound);
        self.peer.hear(&sent);
        sent.len()
    }

    fn settle(&mut self) {
        loop {
            self.wire.0.borrow_mut().room = usize::MAX / 2;
            let carried = self.carry();
            let delivered = self.deliver(usize::MAX);
            self.established();
            if carried + delivered == 0 && self.wire.0.borrow().outbound.is_empty() {
                break;
            }
        }
    }

    /// The stream, once there is one: every step goes on with the handshake.
    fn established(&mut self) -> Option<&mut TlsStream<Wire>> {
        if let Client::Shaking(handshake) = &mut self.client {
            let cx = &mut Context::from_waker(Waker::noop());
            match handshake.poll_handshake(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(stream)) => self.client = Client::Established(stream),
                Poll::Ready(Err(error)) => {
                    self.may_fail(&error);
                    self.client = Client::Failed;
                }
            }
        }
        match &mut self.client {
            Client::Established(stream) => Some(stream),
            Client::Shaking(_) | Client::Failed => None,
        }
    }

    fn read(&mut self, max: usize) -> bool {
        let Some(stream) = self.established() else {
            return false;
        };
        let before = stream.pending();
        let mut buf = vec![0; max];
        let outcome = stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
        if max == 0 {
            assert!(matches!(outcome, Poll::Ready(Ok(0))));
            return false;
        }
        match outcome {
            Poll::Pending => {
                assert_eq!(before, 0);
                assert!(self.read_failure.is_none() && !self.finished);
                assert!(!self.wire.0.borrow().ended && !self.wire.0.borrow().failed);
                false
            }
            Poll::Ready(Ok(count)) => {
                assert!(
                    self.read_failure.is_none(),
                    "data after {:?}",
                    self.read_failure
                );
                if count == 0 {
                    self.finished = true;
                } else {
                    assert!(!self.finished, "data after close_notify");
                }
                for byte in &buf[..count] {
                    assert_eq!(
                        *byte,
                        content(self.read),
                        "byte {} for the client",
                        self.read
                    );
                    self.read += 1;
                }
                true
            }
            Poll::Ready(Err(error)) => {
                assert_eq!(before, 0, "{error} before what was received earlier");
                assert!(!self.finished, "{error} after close_notify");
                let message = error.to_string();
                if let Some(failure) = &self.read_failure {
                    assert_eq!(failure, &message);
                }
                self.may_fail(&error);
                self.read_failure = Some(message);
                true
            }
        }
    }

    fn write(&mut self, count: usize) {
        let plaintext: Vec<u8> = (self.written..self.written + count).map(content).collect();
        let Some(stream) = self.established() else {
            return;
        };
        let cx = &mut Context::from_waker(Waker::noop());
        match stream.poll_write(cx, &plaintext) {
            Poll::Pending => {}
            Poll::Ready(Ok(taken)) => {
                assert!(taken <= count && (taken > 0 || count == 0));
                assert!(!self.closed || count == 0, "written after close_notify");
                self.written += taken;
            }
            Poll::Ready(Err(TlsError::Io(error)))
                if self.closed && error.kind() == io::ErrorKind::BrokenPipe => {}
            Poll::Ready(Err(error)) => self.write_failed(&error),
        }
    }

    fn close(&mut self) {
        let Some(stream) = self.established() else {
            return;
        };
        let cx = &mut Context::from_waker(Waker::noop());
        let outcome = stream.poll_end(cx);
        let pending = stream.pending();
        self.closed = true;
        match outcome {
            Poll::Ready(Err(TlsError::Protocol(_))) if pending > 0 => {}
            Poll::Ready(Err(error)) => self.may_fail(&error),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
    }

    /// What is said to be possible is.
    fn wait(&mut self) {
        let Some(stream) = self.established() else {
            return;
        };
        let cx = &mut Context::from_waker(Waker::noop());
        let readable = stream.poll_readable(cx).is_ready();
        let writable = stream.poll_writable(cx).is_ready();
        if writable {
            assert!(!stream.wants_flush());
            let before = self.written;
            let failed = self.write_failure.is_some();
            self.write(1);
            let closed = self.closed || failed || self.write_failure.is_some();
            assert!(
                self.written > before || closed || self.read_failure.is_some() || !self.peer.honest
            );
        }
        if readable {
            assert!(self.read(1), "readable, and nothing to read");
        }
    }

    fn write_failed(&mut self, error: &TlsError) {
        self.may_fail(error);
        self.write_failure = Some(error.to_string());
    }

    fn may_fail(&self, error: &TlsError) {
        let ends = self.wire.0.borrow();
        assert!(!self.peer.honest || ends.ended || ends.failed, "{error}");
    }

    fn finish(mut self) {
        loop {
            self.settle();
            let mut more = false;
            while self.read_failure.is_none() && !self.finished && self.read(64 * 1024) {
                more = true;
            }
            if !more {
                break;
            }
        }
        let ends = self.wire.0.borrow();
        if self.peer.honest && !ends.ended && !ends.failed {
            assert!(matches!(self.client, Client::Established(_)));
            assert_eq!(self.read, self.peer.said);
            assert_eq!(self.peer.closed, self.finished);
            if !self.peer.closed {
                assert_eq!(self.peer.heard, self.written);
            }
        }
        drop(ends);
        if let Client::Established(stream) = self.client {
            let (_, rest) = stream.into_inner();
            assert!(rest.len() <= INCOMING_LIMIT);
        }
    }
}

/// Steps that are taken of a script.
const STEPS: usize = 200;
