//! TLS whose transport the caller carries: what `ssl.MemoryBIO` and `SSLObject` rest on.

use std::task::Poll;

use eryx_tls::{INCOMING_LIMIT, OUTGOING_LIMIT, Session, TlsError};

use crate::{
    peer::{Peer, content, meet},
    script::{Script, Step},
};

/// Lets a script happen to a session and its peer.
pub fn run(script: &[u8]) {
    let mut script = Script::new(script);
    let Some(kind) = script.byte() else {
        return;
    };
    let (peer, connector, settings) = meet(kind);
    let mut pair = Pair {
        session: connector.session(&settings).expect("good settings"),
        peer,
        read: 0,
        written: 0,
        ended: false,
        closed: false,
        failure: None,
        finished: false,
    };
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        if !pair.peer.take_part(step, &mut script) {
            pair.step(step);
        }
        assert!(pair.session.pending() <= INCOMING_LIMIT);
    }
    pair.finish();
}

struct Pair {
    session: Session,
    peer: Peer,
    read: usize,
    written: usize,
    /// The transport has ended.
    ended: bool,
    /// The client has closed.
    closed: bool,
    /// What reading failed with: it has to stay so.
    failure: Option<String>,
    /// Reading came to the peer's close_notify.
    finished: bool,
}

impl Pair {
    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver(count) => {
                self.deliver(count);
            }
            Step::Carry(count) => {
                self.carry(count);
            }
            Step::Settle => self.settle(),
            Step::End | Step::Fail => {
                self.session.feed_eof();
                self.ended = true;
            }
            Step::Read(count) => {
                self.read(count);
            }
            Step::Write(count) => self.write(count),
            Step::Close => self.close(),
            _ => self.look(),
        }
    }

    /// Says how many bytes moved.
    fn deliver(&mut self, count: usize) -> usize {
        let count = count.min(self.peer.under_way.len());
        match self.session.feed(&self.peer.under_way[..count]) {
            Ok(taken) => {
                assert!(taken <= count);
                if taken == 0 && count > 0 && self.session.pending() == 0 {
                    let outcome = self.session.read(1);
                    assert!(outcome.is_ready(), "nothing to read, and no room either");
                }
                self.peer.under_way.drain(..taken);
                taken
            }
            Err(TlsError::Refused(_)) if self.ended => 0,
            Err(error) => {
                self.may_fail(&error);
                0
            }
        }
    }

    fn carry(&mut self, count: usize) -> usize {
        let taken = self.session.take(count);
        assert!(taken.len() <= count.min(OUTGOING_LIMIT + 64 * 1024));
        self.peer.hear(&taken);
        taken.len()
    }

    fn settle(&mut self) {
        while self.carry(usize::MAX) + self.deliver(usize::MAX) > 0 {}
    }

    /// Says whether there was something, be it the end.
    fn read(&mut self, max: usize) -> bool {
        let before = self.session.pending();
        let outcome = self.session.read(max);
        if max == 0 {
            assert!(matches!(&outcome, Poll::Ready(Ok(bytes)) if bytes.is_empty()));
            return false;
        }
        match outcome {
            Poll::Pending => {
                assert_eq!(before, 0);
                assert!(self.failure.is_none() && !self.finished && !self.ended);
                false
            }
            Poll::Ready(Ok(bytes)) => {
                assert!(bytes.len() <= max);
                assert!(self.failure.is_none(), "data after {:?}", self.failure);
                assert!(bytes.len() >= before.min(max).min(1));
                if bytes.is_empty() {
                    self.finished = true;
                } else {
                    assert!(!self.finished, "data after close_notify");
                }
                for byte in bytes {
                    // Whatever lies on the way can end the stream; it cannot change it.
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
                assert_eq!(before, 0, "{error} before what was received earlier");
                let message = error.to_string();
                assert!(!self.finished, "{message} after close_notify");
                if let Some(failure) = &self.failure {
                    assert_eq!(failure, &message);
                }
                self.may_fail(&error);
                self.failure = Some(message);
                true
            }
        }
    }

    fn write(&mut self, count: usize) {
        let plaintext: Vec<u8> = (self.written..self.written + count).map(content).collect();
        match self.session.write(&plaintext) {
            Poll::Pending => {}
            Poll::Ready(Ok(taken)) => {
                assert!(taken <= count && (taken > 0 || count == 0));
                assert!(!self.closed || count == 0, "written after close_notify");
                self.written += taken;
            }
            Poll::Ready(Err(TlsError::Io(error))) => {
                assert!(self.closed && error.kind() == std::io::ErrorKind::BrokenPipe);
            }
            Poll::Ready(Err(error)) => self.may_fail(&error),
        }
    }

    fn close(&mut self) {
        let established = matches!(self.session.handshake(), Poll::Ready(Ok(())));
        match self.session.close() {
            // Too early, or the peer has something to say yet: neither is a failure.
            Poll::Ready(Err(TlsError::Protocol(_)))
                if !established || self.session.pending() > 0 => {}
            Poll::Ready(Err(error)) => self.may_fail(&error),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.closed |= established;
    }

    fn look(&mut self) {
        let outcome = self.session.handshake();
        assert_eq!(
            self.session.info().is_some(),
            matches!(outcome, Poll::Ready(Ok(())))
        );
        if let Poll::Ready(Err(error)) = outcome {
            self.may_fail(&error);
            let again = self.session.handshake();
            let Poll::Ready(Err(again)) = again else {
                panic!("{error}, then {again:?}");
            };
            assert_eq!(error.to_string(), again.to_string());
        }
    }

    /// Nothing fails between honest peers while the transport lasts.
    fn may_fail(&self, error: &TlsError) {
        assert!(!self.peer.honest || self.ended, "{error}");
    }

    /// Between honest peers everything arrives; whatever else happened, the client is not left waiting for
    /// what has arrived.
    fn finish(mut self) {
        loop {
            self.settle();
            let mut more = false;
            while self.failure.is_none() && !self.finished && self.read(64 * 1024) {
                more = true;
            }
            if !more {
                break;
            }
        }
        if self.peer.honest && !self.ended {
            assert!(matches!(self.session.handshake(), Poll::Ready(Ok(()))));
            assert_eq!(self.read, self.peer.said);
            assert_eq!(self.peer.closed, self.finished);
        }
        if self.peer.honest && !self.peer.closed && !self.ended {
            assert_eq!(self.peer.heard, self.written);
        }
        self.look();
    }
}

/// Steps that are taken of a script.
const STEPS: usize = 200;
