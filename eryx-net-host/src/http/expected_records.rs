//! The TLS records that sessions over transports of the guest program produced, so that a
//! connection to an inspected host sends no others.
//!
//! A record of the handshake is compared in full: the records of the client decide which keys the
//! connection uses, and only Eryx knows these keys. Later records are only counted: they are
//! encrypted and authenticated with these keys, so the server rejects any other record (RFC 8446,
//! 5.2; RFC 5246, 6.2.3).

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use eryx_net_policy::Host;
use eryx_sync::Mutex;

/// The length of a record's header (RFC 8446, 5.1).
pub(super) const HEADER: usize = 5;

/// The longest record: 16 KiB, and what encryption may add in TLS 1.2 (RFC 5246, 6.2.3).
pub(super) const MAX_RECORD: usize = HEADER + (1 << 14) + 2048;

/// The first bytes of the server that have to be the same on the connection and in the session: the
/// ServerHello is in them, whose random bytes are those of one handshake (RFC 8446, 4.1.3).
const COMPARED: usize = 4096;

/// The most records of one handshake. A client sends one or two messages with a ClientHello, and
/// one or two flights, of which only a chain of certificates is longer than one record.
const MAX_RECORDS: usize = 64;

/// The sessions of a network that no connection has been found for.
#[derive(Default)]
pub(crate) struct SessionRegistry {
    hash_key: RandomState,
    sessions: Mutex<Vec<Weak<ExpectedRecords>>>,
}

/// The records of one session that were not sent yet.
pub(crate) struct ExpectedRecords {
    host: Host,
    hash_key: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The records of the handshake.
    queue: VecDeque<Fingerprint>,
    /// The number of records after them.
    later: u64,
    scanner: RecordScanner,
    /// The address and port of the connection that sends the records. The address is `None` if the
    /// embedder's proxy resolved the name.
    bound_to: Option<(Option<IpAddr>, u16)>,
    /// The first bytes that this connection received.
    received: Vec<u8>,
    /// How many bytes of the server the session was given, up to [`COMPARED`].
    fed: usize,
    /// The handshake did not take place on such a connection: the records are not recorded.
    is_tunnelled: bool,
    /// The session's program receives no more bytes, so the connection has to end for it as well.
    has_ended: bool,
}

/// A hash of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

/// The next record that the connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextRecord {
    /// The one of the handshake with this fingerprint.
    Handshake(Fingerprint),
    /// Any.
    Later,
}

impl SessionRegistry {
    /// Begins to record a session with `host`.
    pub(crate) fn begin(&self, host: Host) -> Arc<ExpectedRecords> {
        let records = Arc::new(ExpectedRecords {
            host,
            hash_key: self.hash_key.clone(),
            state: Mutex::default(),
        });
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| session.strong_count() > 0);
        sessions.push(Arc::downgrade(&records));
        records
    }

    /// Returns the hash of a complete record.
    pub(super) fn fingerprint(&self, record: &[u8]) -> Fingerprint {
        Fingerprint(self.hash_key.hash_one(record))
    }

    /// Returns the session whose first record has the fingerprint `first`, with a host that
    /// `is_allowed` accepts, and binds it to a connection to `address` and `port`.
    pub(super) fn bind(
        &self,
        first: Fingerprint,
        (address, port): (Option<IpAddr>, u16),
        is_allowed: impl Fn(&Host) -> bool,
    ) -> Option<Arc<ExpectedRecords>> {
        let mut sessions = self.sessions.lock();
        let index = sessions.iter().position(|session| {
            session.upgrade().is_some_and(|session| {
                is_allowed(&session.host) && session.state.lock().queue.front() == Some(&first)
            })
        })?;
        let session = sessions.swap_remove(index).upgrade()?;
        session.state.lock().bound_to = Some((address, port));
        Some(session)
    }
}

impl ExpectedRecords {
    /// Records ciphertext that the guest program receives. `is_established` is whether the
    /// handshake is complete.
    pub(crate) fn record(&self, ciphertext: &[u8], is_established: bool) {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.is_tunnelled {
            return;
        }
        if is_established && state.bound_to.is_none() {
            state.set_tunnelled();
            return;
        }
        let (queue, later) = (&mut state.queue, &mut state.later);
        state
            .scanner
            .push(ciphertext, is_established, |record| match record {
                Some(record) => queue.push_back(Fingerprint(self.hash_key.hash_one(record))),
                None => *later += 1,
            });
        if state.queue.len() > MAX_RECORDS {
            state.set_tunnelled();
        }
    }

    /// Compares ciphertext that the guest program gives to the session with what the connection
    /// received.
    ///
    /// A program could send the ClientHello on a connection to one port, and carry out the
    /// handshake through a tunnel to another.
    pub(crate) fn compare(&self, ciphertext: &[u8]) {
        let mut state = self.state.lock();
        let end = COMPARED.min(state.fed + ciphertext.len());
        let compared = &ciphertext[..end - state.fed];
        if state.received.get(state.fed..end) != Some(compared) {
            state.set_tunnelled();
        }
        state.fed = end;
    }

    /// Records what the connection received.
    pub(super) fn receive(&self, ciphertext: &[u8]) {
        let mut state = self.state.lock();
        let missing = COMPARED - state.received.len();
        state
            .received
            .extend_from_slice(&ciphertext[..ciphertext.len().min(missing)]);
    }

    /// Records that the session's program receives no more bytes.
    pub(crate) fn end(&self) {
        self.state.lock().has_ended = true;
    }

    /// Returns whether the session's program receives no more bytes.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().has_ended
    }

    /// Returns the address and port of the connection that carries the session; `None` for a
    /// tunnel. Call it after the handshake.
    pub(crate) fn bound_to(&self) -> Option<(Option<IpAddr>, u16)> {
        self.state.lock().bound_to
    }

    /// Returns the next record that the connection may send.
    pub(super) fn next(&self) -> Option<NextRecord> {
        let state = self.state.lock();
        let later = (state.later > 0).then_some(NextRecord::Later);
        state
            .queue
            .front()
            .map_or(later, |next| Some(NextRecord::Handshake(*next)))
    }

    /// Removes the next record.
    pub(super) fn pop(&self) {
        let mut state = self.state.lock();
        if state.queue.pop_front().is_none() {
            state.later = state.later.saturating_sub(1);
        }
    }
}

impl State {
    fn set_tunnelled(&mut self) {
        self.is_tunnelled = true;
        self.bound_to = None;
        self.queue = VecDeque::new();
        self.later = 0;
    }
}

/// Splits ciphertext into records, no matter how it is split itself.
#[derive(Default)]
struct RecordScanner {
    /// The header and, for a record of the handshake, what has come of its body.
    record: Vec<u8>,
    /// The bytes of the record that are still missing, once the header is complete.
    missing: usize,
    is_later: bool,
}

impl RecordScanner {
    /// Calls `on_record` with each complete record of the handshake, and with `None` for each later
    /// one.
    fn push(&mut self, mut bytes: &[u8], is_later: bool, mut on_record: impl FnMut(Option<&[u8]>)) {
        while !bytes.is_empty() {
            if self.record.len() < HEADER {
                if self.record.is_empty() {
                    self.is_later = is_later;
                }
                let taken = bytes.len().min(HEADER - self.record.len());
                self.record.extend_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
                if self.record.len() < HEADER {
                    return;
                }
                self.missing = body_length(&self.record);
            }
            let taken = bytes.len().min(self.missing);
            if !self.is_later {
                self.record.extend_from_slice(&bytes[..taken]);
            }
            self.missing -= taken;
            bytes = &bytes[taken..];
            if self.missing == 0 {
                on_record((!self.is_later).then_some(&self.record[..]));
                self.record.clear();
            }
        }
    }
}

/// Returns the length of the body that a record's header announces.
pub(super) fn body_length(header: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([header[3], header[4]]))
}

/// Returns the length of the record that `bytes` begin with, once its header is complete.
pub(super) fn record_length(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= HEADER).then(|| HEADER + body_length(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("a short body");
        [&[22, 3, 3][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn records_are_the_same_however_the_ciphertext_is_split() {
        let bodies = [&[1; 100][..], b"", &[2; 3], &[3; 400]];
        let stream = bodies.map(record).concat();
        for size in 1..=stream.len() {
            for is_later in [false, true] {
                let mut scanner = RecordScanner::default();
                let mut records = Vec::new();
                for part in stream.chunks(size) {
                    let add = |record: Option<&[u8]>| records.push(record.map(<[u8]>::to_vec));
                    scanner.push(part, is_later, add);
                }
                let expected = bodies.map(|body| (!is_later).then(|| record(body)));
                assert_eq!(records, expected, "{size}");
            }
        }
    }

    #[test]
    fn records_of_the_handshake_are_compared_and_later_ones_counted() {
        let registry = SessionRegistry::default();
        let records = registry.begin(Host::parse("a.example").expect("a host"));
        let (hello, finished) = (record(b"hello"), record(b"finished"));
        records.record(&hello, false);
        let first = registry.fingerprint(&hello);
        let session = registry.bind(first, (None, 443), |_| true).expect("bound");
        records.record(&finished[..7], false);
        records.record(&finished[7..], true);
        records.record(&[record(b"data"), record(b"more")].concat(), true);
        for expected in [
            NextRecord::Handshake(first),
            NextRecord::Handshake(registry.fingerprint(&finished)),
            NextRecord::Later,
            NextRecord::Later,
        ] {
            assert_eq!(session.next(), Some(expected));
            session.pop();
        }
        assert_eq!(session.next(), None);
    }

    #[test]
    fn a_handshake_of_many_records_is_not_recorded() {
        let registry = SessionRegistry::default();
        let records = registry.begin(Host::parse("a.example").expect("a host"));
        for _ in 0..=MAX_RECORDS {
            records.record(&record(b"hello"), false);
        }
        assert_eq!(records.next(), None);
    }

    #[test]
    fn an_established_session_that_no_connection_sent_is_not_recorded() {
        let registry = SessionRegistry::default();
        let records = registry.begin(Host::parse("a.example").expect("a host"));
        records.record(&record(b"hello"), false);
        assert!(records.next().is_some());
        records.record(&record(b"data"), true);
        assert_eq!(records.next(), None);
        let first = registry.fingerprint(&record(b"hello"));
        assert!(registry.bind(first, (None, 443), |_| true).is_none());
    }
}
