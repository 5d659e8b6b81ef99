//! What a target makes of its bytes: a sequence of steps.

/// The bytes that are left.
pub(crate) struct Script<'a>(&'a [u8]);

/// One thing that happens to a client and its peer. A byte says which, those after it say how much.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// That many bytes of the peer's reach the client.
    Deliver(usize),
    /// That many bytes of the client's reach the peer.
    Carry(usize),
    /// Everything goes everywhere until nothing moves.
    Settle,
    /// The peer says that many bytes.
    PeerWrite(usize),
    /// The peer closes TLS.
    PeerClose,
    /// The peer changes its keys, where the version permits.
    PeerRekey,
    /// The byte of those under way that is this many from the first has its bits flipped.
    Damage(usize, u8),
    /// That many bytes come after those under way: the next of the script, over and over.
    Inject(usize),
    /// A record of this type does, with that many such bytes in it.
    InjectRecord(u8, usize),
    /// That many bytes under way get lost.
    Lose(usize),
    /// The transport ends, for the client.
    End,
    /// The transport fails, for the client.
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

    /// The next step; `None` at the end.
    pub(crate) fn step(&mut self) -> Option<Step> {
        Some(match self.byte()? % 16 {
            0 => Step::Deliver(self.amount()),
            1 => Step::Carry(self.amount()),
            2 => Step::Settle,
            3 => Step::PeerWrite(self.amount()),
            4 => Step::PeerClose,
            5 => Step::PeerRekey,
            6 => Step::Damage(self.amount(), self.byte().unwrap_or(0) | 1),
            7 => Step::Inject(self.amount()),
            8 => Step::InjectRecord(self.byte().unwrap_or(0), self.amount()),
            9 => Step::Lose(self.amount()),
            10 => Step::End,
            11 => Step::Fail,
            12 => Step::Read(self.amount()),
            13 => Step::Write(self.amount()),
            14 => Step::Close,
            _ => Step::Wait,
        })
    }

    /// The next bytes, uninterpreted, repeated until there are `count` of them.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let (bytes, rest) = self.0.split_at(count.min(REPEATED).min(self.0.len()));
        self.0 = rest;
        bytes.iter().copied().cycle().take(count).collect()
    }

    /// Small numbers in one byte; above 127, sixteen times as much for each.
    fn amount(&mut self) -> usize {
        match usize::from(self.byte().unwrap_or(0)) {
            small @ ..128 => small,
            large => (large - 127) * (large - 127) * 8,
        }
    }
}

/// Bytes that are repeated where many are wanted, so that short scripts reach the limits on long messages.
const REPEATED: usize = 64;
