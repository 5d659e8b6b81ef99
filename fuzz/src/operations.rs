//! Scripts: the bytes of an input as a sequence of operations.

/// The remaining bytes of a script.
pub(crate) struct Script<'a>(&'a [u8]);

/// An operation on a client, its peer or the network between them. One byte selects it, and the
/// next bytes are its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Delivers that many bytes from the peer to the client.
    Deliver(usize),
    /// Delivers that many bytes from the client to the peer.
    DeliverToPeer(usize),
    /// Delivers everything in both directions until nothing moves.
    DeliverAll,
    /// The peer sends that many bytes.
    PeerWrite(usize),
    /// The peer closes TLS.
    PeerClose,
    /// The peer updates its keys, if the version permits.
    PeerRekey,
    /// Flips bits of the byte at this offset among the bytes in flight to the client.
    Damage(usize, u8),
    /// Appends that many bytes to those in flight: the next bytes of the script, repeated.
    Inject(usize),
    /// Appends a record of this type with that many such bytes.
    InjectRecord(u8, usize),
    /// Drops that many bytes in flight.
    Lose(usize),
    /// Ends the client's transport.
    End,
    /// Makes the client's transport fail.
    Fail,
    /// The client reads at most that many bytes.
    Read(usize),
    /// The client writes that many bytes.
    Write(usize),
    /// The client closes TLS.
    Close,
    /// The client waits until it can read or write.
    Wait,
}

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Returns the next operation, or `None` at the end.
    pub(crate) fn operation(&mut self) -> Option<Operation> {
        Some(match self.byte()? % 16 {
            0 => Operation::Deliver(self.amount()),
            1 => Operation::DeliverToPeer(self.amount()),
            2 => Operation::DeliverAll,
            3 => Operation::PeerWrite(self.amount()),
            4 => Operation::PeerClose,
            5 => Operation::PeerRekey,
            6 => Operation::Damage(self.amount(), self.byte().unwrap_or(0) | 1),
            7 => Operation::Inject(self.amount()),
            8 => Operation::InjectRecord(self.byte().unwrap_or(0), self.amount()),
            9 => Operation::Lose(self.amount()),
            10 => Operation::End,
            11 => Operation::Fail,
            12 => Operation::Read(self.amount()),
            13 => Operation::Write(self.amount()),
            14 => Operation::Close,
            _ => Operation::Wait,
        })
    }

    /// Returns the next bytes, repeated until there are `count` of them.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(count.min(MAX_REPEATED).min(self.0.len()));
        self.0 = rest;
        bytes.iter().copied().cycle().take(count).collect()
    }

    /// Returns the next text: a byte with its length, and its bytes, with replacement characters
    /// for those that are not UTF-8. Lengths from 128 on stand for repeated bytes.
    pub(crate) fn text(&mut self) -> Option<String> {
        let count = match usize::from(self.byte()?) {
            small @ ..128 => small.min(self.0.len()),
            large => (large - 127) * 40,
        };
        Some(String::from_utf8_lossy(&self.bytes(count)).into_owned())
    }

    /// Returns the next number: small, or close to a power of two.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let (power, offset) = (self.byte()?, self.byte()?);
        let base = 1_u64.checked_shl(u32::from(power)).unwrap_or(0);
        Some(base.wrapping_add_signed(i64::from(offset as i8)))
    }

    /// Returns the next amount: bytes below 128 stand for themselves, larger ones grow
    /// quadratically.
    fn amount(&mut self) -> usize {
        match usize::from(self.byte().unwrap_or(0)) {
            small @ ..128 => small,
            large => (large - 127) * (large - 127) * 8,
        }
    }
}

/// The maximum number of bytes that are repeated, so that short scripts reach the limits of long
/// messages.
const MAX_REPEATED: usize = 64;
