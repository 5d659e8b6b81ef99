//! Reads a snapshot, whose bytes may be hostile.

use flate2::{Decompress, FlushDecompress, Status};

use crate::session_snapshot::{
    Digest, HAD_STDIN, HAS_LISTINGS, HAS_NETWORK, Handles, MAX_CLOCK, MAX_MEMORY, PAGE, PageRun,
    SessionFacts, WASM_PAGE, header, yield_if_over,
};
use crate::snapshot_error::SnapshotError;
use crate::time_slice::TimeSlice;

/// The most compressed bytes of one step: a few milliseconds. A stream may have a block without
/// content in each ten bits, which takes a microsecond.
const INPUT: usize = 4 << 10;

/// The bytes of [`SessionFacts`].
const FACTS: usize = 8 + 8 + 1;

const CUT_OFF: SnapshotError = SnapshotError::Damaged("its content ends too early");

/// Reads a snapshot. Expands only what the caller asks for, and yields when the time slice is over,
/// also within a stream that expands to nothing.
pub(crate) struct SnapshotReader<'a> {
    input: Inflater<'a>,
    facts: SessionFacts,
    /// The first page that the next run may have.
    next_page: u64,
}

impl<'a> SnapshotReader<'a> {
    /// Checks that `bytes` are a snapshot of a session of this factory that ran this image, and
    /// reads its start.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub(crate) fn new(
        bytes: &'a [u8],
        image: &Digest,
        factory: &Digest,
    ) -> Result<Self, SnapshotError> {
        let mut input = Inflater::new(header::check(bytes, image, factory)?);
        // At once: a stream has at most 300 bytes before its content.
        let mut facts = [0; FACTS];
        if input.step(&mut facts)? < FACTS {
            return Err(CUT_OFF);
        }
        let [numbers @ .., flags] = facts;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rfold(0, |all, byte| all << 8 | u64::from(*byte))
        };
        let (memory, clock) = (number(&numbers[..8]), number(&numbers[8..]));
        if memory % WASM_PAGE as u64 != 0 || memory > MAX_MEMORY {
            return Err(SnapshotError::Damaged(
                "the size of its memory is impossible",
            ));
        }
        if clock > MAX_CLOCK {
            return Err(SnapshotError::Damaged("its clock is impossible"));
        }
        if flags & !(HAS_NETWORK | HAS_LISTINGS | HAD_STDIN) != 0 {
            return Err(SnapshotError::Damaged("it has unknown flags"));
        }
        Ok(Self {
            input,
            facts: SessionFacts {
                memory,
                clock,
                handles: Handles {
                    network: flags & HAS_NETWORK != 0,
                    listings: flags & HAS_LISTINGS != 0,
                },
                had_stdin: flags & HAD_STDIN != 0,
            },
            next_page: 0,
        })
    }

    /// Returns the state beside files and memory.
    pub(crate) fn facts(&self) -> SessionFacts {
        self.facts
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Damaged`].
    pub(crate) async fn fill(
        &mut self,
        bytes: &mut [u8],
        time_slice: &TimeSlice,
    ) -> Result<(), SnapshotError> {
        self.input.fill(bytes, time_slice).await
    }

    /// Returns the next bytes.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Damaged`].
    pub(crate) async fn array<const N: usize>(
        &mut self,
        time_slice: &TimeSlice,
    ) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, time_slice).await?;
        Ok(bytes)
    }

    /// Returns the next run of pages, whose bytes the caller has to read, or `None` at the end. No
    /// page is below the address `start`, or beyond the memory.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Damaged`].
    pub(crate) async fn next_pages(
        &mut self,
        start: usize,
        time_slice: &TimeSlice,
    ) -> Result<Option<PageRun>, SnapshotError> {
        let first = u32::from_le_bytes(self.array(time_slice).await?);
        let pages = u32::from_le_bytes(self.array(time_slice).await?);
        if pages == 0 {
            return self.input.check_end(time_slice).await.map(|()| None);
        }
        let end = u64::from(first) + u64::from(pages);
        if end > self.facts.memory / PAGE as u64 {
            return Err(SnapshotError::Damaged("it has pages beyond its memory"));
        }
        if u64::from(first) < self.next_page.max((start / PAGE) as u64) {
            return Err(SnapshotError::Damaged("its pages are out of order"));
        }
        self.next_page = end;
        Ok(Some(PageRun { first, pages }))
    }
}

/// Expands a zlib stream, and checks that it is complete, which the readers of `flate2` do not.
struct Inflater<'a> {
    state: Decompress,
    rest: &'a [u8],
    ended: bool,
}

impl<'a> Inflater<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            state: Decompress::new(true),
            rest,
            ended: false,
        }
    }

    /// Expands at most [`INPUT`] bytes into the start of `output`. Returns how many it has then.
    fn step(&mut self, output: &mut [u8]) -> Result<usize, SnapshotError> {
        let (read, written) = (self.state.total_in(), self.state.total_out());
        let input = &self.rest[..self.rest.len().min(INPUT)];
        let status = self
            .state
            .decompress(input, output, FlushDecompress::None)
            .map_err(|_| SnapshotError::Damaged("it does not expand"))?;
        self.ended = status == Status::StreamEnd;
        // Both are at most the lengths of the slices.
        self.rest = &self.rest[(self.state.total_in() - read) as usize..];
        Ok((self.state.total_out() - written) as usize)
    }

    async fn fill(
        &mut self,
        mut output: &mut [u8],
        time_slice: &TimeSlice,
    ) -> Result<(), SnapshotError> {
        while !output.is_empty() {
            yield_if_over(time_slice).await;
            let before = self.rest.len();
            let written = self.step(output)?;
            output = &mut output[written..];
            let stuck = written == 0 && before == self.rest.len();
            if (self.ended || stuck) && !output.is_empty() {
                return Err(CUT_OFF);
            }
        }
        Ok(())
    }

    /// Checks that the stream ends here, and nothing follows.
    async fn check_end(&mut self, time_slice: &TimeSlice) -> Result<(), SnapshotError> {
        while !self.ended {
            yield_if_over(time_slice).await;
            let before = self.rest.len();
            if self.step(&mut [0])? > 0 {
                return Err(SnapshotError::Damaged("it has bytes after its end"));
            }
            if !self.ended && before == self.rest.len() {
                return Err(CUT_OFF);
            }
        }
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(SnapshotError::Damaged("it has bytes after its end"))
    }
}
