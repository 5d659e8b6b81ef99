//! A TLS client and its peer, driven by a script: the properties that sessions and streams share.

use std::io::ErrorKind;
use std::task::Poll;

use eryx_tls::{ClientSettings, Connector, INCOMING_LIMIT, TlsError};

use crate::operations::{Operation, Script};
use crate::tls_peer::{Peer, content, peer_and_connector};

/// A TLS client with its transport.
pub(crate) trait Transport: Sized {
    /// Whether the client reads and writes a transport itself, and so can fail with its errors.
    const HAS_IO: bool;

    fn new(connector: &Connector, settings: &ClientSettings) -> Self;

    /// Moves at most `count` bytes of `in_flight` to the client, and returns their number.
    fn deliver(&mut self, in_flight: &mut Vec<u8>, count: usize) -> Result<usize, TlsError>;

    /// Returns at most `count` bytes of ciphertext for the peer.
    fn take(&mut self, count: usize) -> Vec<u8>;

    /// Ends the transport.
    fn end(&mut self);

    /// Makes the transport fail.
    fn fail(&mut self);

    /// Returns whether the transport has ended or failed.
    fn is_interrupted(&self) -> bool;

    /// Returns whether the handshake is complete. A stream first drives it.
    fn is_established(&mut self) -> bool;

    /// Returns the number of bytes of buffered plaintext.
    fn pending(&self) -> usize;

    /// Returns an error of the handshake or of a flush, once.
    fn take_error(&mut self) -> Option<TlsError>;

    /// Reads at most `max` bytes. Returns `None` if the client cannot read before the handshake is
    /// complete.
    fn read(&mut self, max: usize) -> Option<Poll<Result<Vec<u8>, TlsError>>>;

    /// Writes `data`. Returns `None` if the client cannot write before the handshake is complete.
    fn write(&mut self, data: &[u8]) -> Option<Poll<Result<usize, TlsError>>>;

    /// Closes TLS. Returns `None` if the client cannot close before the handshake is complete.
    fn close(&mut self) -> Option<Poll<Result<(), TlsError>>>;

    /// Checks what the client reports about its state.
    fn wait(pair: &mut TlsPair<Self>);

    /// Checks the state after the script.
    fn finish(pair: TlsPair<Self>);
}

/// A TLS client and its peer.
pub(crate) struct TlsPair<T> {
    pub(crate) client: T,
    pub(crate) peer: Peer,
    read: usize,
    pub(crate) written: usize,
    /// The client has closed TLS.
    pub(crate) closed: bool,
    /// The error of reading, which has to stay the same.
    pub(crate) read_error: Option<String>,
    /// Reading has reached the peer's close_notify.
    finished: bool,
}

impl<T: Transport> TlsPair<T> {
    /// Runs a script.
    pub(crate) fn run(script: &[u8]) {
        let mut script = Script::new(script);
        let Some(kind) = script.byte() else {
            return;
        };
        let (peer, connector, settings) = peer_and_connector(kind);
        let mut pair = Self {
            client: T::new(&connector, &settings),
            peer,
            read: 0,
            written: 0,
            closed: false,
            read_error: None,
            finished: false,
        };
        for _ in 0..MAX_OPERATIONS {
            let Some(operation) = script.operation() else {
                break;
            };
            if !pair.peer.step(operation, &mut script) {
                pair.step(operation);
            }
            assert!(pair.client.pending() <= INCOMING_LIMIT);
        }
        pair.finish();
    }

    fn step(&mut self, operation: Operation) {
        match operation {
            Operation::Deliver(count) => {
                self.deliver(count);
            }
            Operation::DeliverToPeer(count) => {
                self.deliver_to_peer(count);
            }
            Operation::DeliverAll => self.deliver_all(),
            Operation::End => self.client.end(),
            Operation::Fail => self.client.fail(),
            Operation::Read(count) => {
                self.read(count);
            }
            Operation::Write(count) => self.write(count),
            Operation::Close => self.close(),
            _ => T::wait(self),
        }
        self.check_background_error();
    }

    fn check_background_error(&mut self) {
        if let Some(error) = self.client.take_error() {
            self.check_error(&error);
        }
    }

    /// Returns the number of bytes moved.
    fn deliver(&mut self, count: usize) -> usize {
        match self.client.deliver(&mut self.peer.in_flight, count) {
            Ok(moved) => moved,
            Err(error) => {
                self.check_error(&error);
                0
            }
        }
    }

    /// Returns the number of bytes moved.
    fn deliver_to_peer(&mut self, count: usize) -> usize {
        let ciphertext = self.client.take(count);
        self.peer.receive(&ciphertext);
        ciphertext.len()
    }

    fn deliver_all(&mut self) {
        while self.deliver_to_peer(usize::MAX) + self.deliver(usize::MAX) > 0 {}
    }

    /// Returns whether there were data, the end or an error.
    pub(crate) fn read(&mut self, max: usize) -> bool {
        let before = self.client.pending();
        let Some(outcome) = self.client.read(max) else {
            return false;
        };
        if max == 0 {
            assert!(matches!(&outcome, Poll::Ready(Ok(bytes)) if bytes.is_empty()));
            return false;
        }
        match outcome {
            Poll::Pending => {
                assert_eq!(before, 0);
                assert!(self.read_error.is_none() && !self.finished);
                assert!(!self.client.is_interrupted());
                false
            }
            Poll::Ready(Ok(bytes)) => {
                assert!(bytes.len() <= max);
                assert!(
                    self.read_error.is_none(),
                    "data after {:?}",
                    self.read_error
                );
                assert!(bytes.len() >= before.min(1));
                if bytes.is_empty() {
                    self.finished = true;
                } else {
                    assert!(!self.finished, "data after close_notify");
                }
                for byte in bytes {
                    // The network can end the stream, but not change it.
                    assert_eq!(
                        byte,
                        content(self.read),
                        "byte {} for the client",
                        self.read
                    );
                    self.read += 1;
                }
                true
            }
            Poll::Ready(Err(error)) => {
                assert_eq!(before, 0, "{error} before the data received earlier");
                let message = error.to_string();
                assert!(!self.finished, "{message} after close_notify");
                if let Some(earlier) = &self.read_error {
                    assert_eq!(earlier, &message);
                }
                self.check_error(&error);
                self.read_error = Some(message);
                true
            }
        }
    }

    pub(crate) fn write(&mut self, count: usize) {
        let plaintext: Vec<u8> = (self.written..self.written + count).map(content).collect();
        match self.client.write(&plaintext) {
            None | Some(Poll::Pending) => {}
            Some(Poll::Ready(Ok(taken))) => {
                assert!(taken <= count && (taken > 0 || count == 0));
                assert!(!self.closed || count == 0, "written after close_notify");
                self.written += taken;
            }
            Some(Poll::Ready(Err(TlsError::Io(error))))
                if self.closed && error.kind() == ErrorKind::BrokenPipe => {}
            Some(Poll::Ready(Err(error))) => {
                assert!(T::HAS_IO || !matches!(error, TlsError::Io(_)), "{error}");
                self.check_error(&error);
            }
        }
    }

    fn close(&mut self) {
        let established = self.client.is_established();
        let Some(outcome) = self.client.close() else {
            return;
        };
        match outcome {
            // Too early, or data of the peer are unread: neither is a failure.
            Poll::Ready(Err(TlsError::Protocol(_)))
                if !established || self.client.pending() > 0 => {}
            Poll::Ready(Err(error)) => self.check_error(&error),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.closed |= established;
    }

    /// Checks that nothing fails while the network is honest and the transport lasts.
    pub(crate) fn check_error(&self, error: &TlsError) {
        assert!(!self.peer.honest || self.client.is_interrupted(), "{error}");
    }

    /// Checks that an honest network delivers everything. Whatever else happened, the client must
    /// not wait for data that have arrived.
    fn finish(mut self) {
        loop {
            self.deliver_all();
            let mut more = false;
            while self.read_error.is_none() && !self.finished && self.read(64 * 1024) {
                more = true;
            }
            if !more {
                break;
            }
        }
        self.check_background_error();
        if self.peer.honest && !self.client.is_interrupted() {
            assert!(self.client.is_established());
            assert_eq!(self.read, self.peer.sent);
            assert_eq!(self.peer.closed, self.finished);
            if !self.peer.closed {
                assert_eq!(self.peer.received, self.written);
            }
        }
        T::finish(self);
    }
}

/// The maximum number of operations of a script.
const MAX_OPERATIONS: usize = 200;
