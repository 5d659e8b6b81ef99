//! The TLS records that sessions over transports of the guest program produced, so that a
//! connection to an inspected host sends no others.
//!
//! A record of a handshake is compared in full: the records of the client decide which keys the
//! connection uses, and only the host knows these keys. A later record is encrypted and
//! authenticated with them, so a server rejects any other record (RFC 8446, 5.2; RFC 5246, 6.2.3).
//! Of such a record only the header and the last bytes are compared, which has a fixed cost.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use eryx_net_policy::Host;
use eryx_sync::Mutex;

/// The length of a record's header (RFC 8446, 5.1).
pub(super) const HEADER: usize = 5;

/// The longest record: 16 KiB, and what encryption may add in TLS 1.2 (RFC 5246, 6.2.3).
pub(super) const MAX_RECORD: usize = HEADER + (1 << 14) + 2048;

/// The bytes at the end of an encrypted record that are compared: the authentication tag.
const TAG: usize = 16;

/// The first bytes of the server that have to be the same on the connection and in the session: the
/// ServerHello is in them, whose random bytes are those of one handshake (RFC 8446, 4.1.3).
const COMPARED: usize = 4096;

/// The most records that a session remembers. The guest program holds them meanwhile, so this is
/// 256 MiB of full records, and 128 KiB here.
const MAX_RECORDS: usize = 16 * 1024;

/// The sessions of a network that no connection has been found for.
#[derive(Default)]
pub(crate) struct SessionRegistry {
    hash_key: RandomState,
    sessions: Mutex<Vec<Weak<GuardedRecords>>>,
}

/// The records of one session that were not sent yet.
pub(crate) struct GuardedRecords {
    host: Host,
    hash_key: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Fingerprint>,
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

/// A hash of a record, whose lowest bit is set if only header and tag were hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn is_partial(self) -> bool {
        self.0 & 1 == 1
    }
}

impl SessionRegistry {
    /// Begins to record a session with `host`.
    pub(crate) fn begin(&self, host: Host) -> Arc<GuardedRecords> {
        let records = Arc::new(GuardedRecords {
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
    pub(super) fn fingerprint(&self, record: &[u8], is_partial: bool) -> Fingerprint {
        fingerprint(&self.hash_key, record, is_partial)
    }

    /// Returns the session whose first record has the fingerprint `first`, with a host that
    /// `is_allowed` accepts, and binds it to a connection to `address` and `port`.
    pub(super) fn bind(
        &self,
        first: Fingerprint,
        (address, port): (Option<IpAddr>, u16),
        is_allowed: impl Fn(&Host) -> bool,
    ) -> Option<Arc<GuardedRecords>> {
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

impl GuardedRecords {
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
        let (key, queue) = (&self.hash_key, &mut state.queue);
        state.scanner.push(ciphertext, key, is_established, queue);
    }

    /// Returns whether the guest program holds as many records as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().queue.len() >= MAX_RECORDS
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

    /// Returns the fingerprint of the next record.
    pub(super) fn next(&self) -> Option<Fingerprint> {
        self.state.lock().queue.front().copied()
    }

    /// Removes the next record.
    pub(super) fn pop(&self) {
        self.state.lock().queue.pop_front();
    }
}

impl State {
    fn set_tunnelled(&mut self) {
        self.is_tunnelled = true;
        self.bound_to = None;
        self.queue = VecDeque::new();
    }
}

/// Splits ciphertext into records and hashes them, no matter how it is split.
#[derive(Default)]
struct RecordScanner {
    /// The header and, until the record is complete, the bytes that are hashed: all of a record of
    /// the handshake, or the last [`TAG`] bytes of another one.
    record: Vec<u8>,
    /// The bytes of the record that are still missing, once the header is complete.
    missing: usize,
    is_partial: bool,
}

impl RecordScanner {
    fn push(
        &mut self,
        mut bytes: &[u8],
        key: &RandomState,
        is_partial: bool,
        queue: &mut VecDeque<Fingerprint>,
    ) {
        while !bytes.is_empty() {
            if self.record.len() < HEADER {
                if self.record.is_empty() {
                    self.is_partial = is_partial;
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
            self.record.extend_from_slice(&bytes[..taken]);
            self.missing -= taken;
            bytes = &bytes[taken..];
            if self.is_partial && self.record.len() > HEADER + TAG {
                let surplus = self.record.len() - TAG;
                self.record.drain(HEADER..surplus);
            }
            if self.missing == 0 {
                queue.push_back(fingerprint(key, &self.record, self.is_partial));
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

fn fingerprint(key: &RandomState, record: &[u8], is_partial: bool) -> Fingerprint {
    let mut hasher = key.build_hasher();
    hasher.write(&record[..HEADER]);
    let body = &record[HEADER..];
    let hashed = if is_partial { TAG } else { body.len() };
    hasher.write(&body[body.len().saturating_sub(hashed)..]);
    Fingerprint(hasher.finish() << 1 | u64::from(is_partial))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("a short body");
        [&[22, 3, 3][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn records_have_the_same_fingerprints_however_they_are_split() {
        let registry = SessionRegistry::default();
        let stream = [
            record(&[1; 100]),
            record(b""),
            record(&[2; 3]),
            record(&[3; 400]),
        ]
        .concat();
        for is_partial in [false, true] {
            let expected: Vec<Fingerprint> = [&[1; 100][..], b"", &[2; 3], &[3; 400]]
                .iter()
                .map(|body| registry.fingerprint(&record(body), is_partial))
                .collect();
            for size in 1..=stream.len() {
                let mut scanner = RecordScanner::default();
                let mut queue = VecDeque::new();
                for part in stream.chunks(size) {
                    scanner.push(part, &registry.hash_key, is_partial, &mut queue);
                }
                assert_eq!(queue, expected, "{size}");
            }
        }
    }

    #[test]
    fn an_established_session_that_no_connection_sent_is_not_recorded() {
        let registry = SessionRegistry::default();
        let records = registry.begin(Host::parse("a.example").expect("a host"));
        records.record(&record(b"hello"), false);
        assert!(records.next().is_some());
        records.record(&record(b"data"), true);
        assert_eq!(records.next(), None);
        let first = registry.fingerprint(&record(b"hello"), false);
        assert!(registry.bind(first, (None, 443), |_| true).is_none());
    }
}
