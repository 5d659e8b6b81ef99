//! A TLS session without a transport, as `ssl.MemoryBIO` and `SSLObject` use it.

use std::task::Poll;

use eryx_tls::{ClientSettings, Connector, OUTGOING_LIMIT, Session, TlsError};

use crate::tls_pair::{TlsPair, Transport};

/// Runs a script on a session and its peer.
pub fn run(script: &[u8]) {
    TlsPair::<SessionClient>::run(script);
}

struct SessionClient {
    session: Session,
    ended: bool,
}

impl Transport for SessionClient {
    const HAS_IO: bool = false;

    fn new(connector: &Connector, settings: &ClientSettings) -> Self {
        Self {
            session: connector.session(settings).expect("valid settings"),
            ended: false,
        }
    }

    fn deliver(&mut self, in_flight: &mut Vec<u8>, count: usize) -> Result<usize, TlsError> {
        let count = count.min(in_flight.len());
        match self.session.feed(&in_flight[..count]) {
            Ok(taken) => {
                assert!(taken <= count);
                if taken == 0 && count > 0 && self.session.pending() == 0 {
                    let outcome = self.session.read(1);
                    assert!(outcome.is_ready(), "nothing to read, and no capacity");
                }
                in_flight.drain(..taken);
                Ok(taken)
            }
            Err(TlsError::Refused(_)) if self.ended => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.session.take(count);
        assert!(taken.len() <= count.min(OUTGOING_LIMIT + 64 * 1024));
        taken
    }

    fn end(&mut self) {
        self.session.feed_eof();
        self.ended = true;
    }

    fn fail(&mut self) {
        self.end();
    }

    fn is_interrupted(&self) -> bool {
        self.ended
    }

    fn is_established(&mut self) -> bool {
        self.session.info().is_some()
    }

    fn pending(&self) -> usize {
        self.session.pending()
    }

    fn take_error(&mut self) -> Option<TlsError> {
        None
    }

    fn read(&mut self, max: usize) -> Option<Poll<Result<Vec<u8>, TlsError>>> {
        Some(self.session.read(max))
    }

    fn write(&mut self, data: &[u8]) -> Option<Poll<Result<usize, TlsError>>> {
        Some(self.session.write(data))
    }

    fn close(&mut self) -> Option<Poll<Result<(), TlsError>>> {
        Some(self.session.close())
    }

    fn wait(pair: &mut TlsPair<Self>) {
        let session = &mut pair.client.session;
        let outcome = session.handshake();
        assert_eq!(
            session.info().is_some(),
            matches!(outcome, Poll::Ready(Ok(())))
        );
        if let Poll::Ready(Err(error)) = outcome {
            let again = session.handshake();
            pair.check_error(&error);
            let Poll::Ready(Err(again)) = again else {
                panic!("{error}, then {again:?}");
            };
            assert_eq!(error.to_string(), again.to_string());
        }
    }

    fn finish(mut pair: TlsPair<Self>) {
        Self::wait(&mut pair);
    }
}
