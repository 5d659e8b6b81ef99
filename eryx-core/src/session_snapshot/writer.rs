//! Writes a snapshot.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::session_snapshot::{
    Digest, HAD_STDIN, HAS_LISTINGS, HAS_NETWORK, PageRun, SessionFacts, header,
};

/// Writes a snapshot to memory, which cannot fail: the errors of `Write` do not occur.
pub(crate) struct SnapshotWriter {
    output: ZlibEncoder<Vec<u8>>,
}

impl SnapshotWriter {
    /// Begins a snapshot of a session with these digests of its image and of its factory's key.
    pub(crate) fn new(image: &Digest, factory: &Digest, facts: &SessionFacts) -> Self {
        let mut writer = Self {
            output: ZlibEncoder::new(header::encode(image, factory), Compression::new(3)),
        };
        let mut flags = 0;
        if facts.handles.network {
            flags |= HAS_NETWORK;
        }
        if facts.handles.listings {
            flags |= HAS_LISTINGS;
        }
        if facts.had_stdin {
            flags |= HAD_STDIN;
        }
        writer.put(&facts.memory.to_le_bytes());
        writer.put(&facts.clock.to_le_bytes());
        writer.put(&[flags]);
        writer
    }

    /// Adds bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.output
            .write_all(bytes)
            .expect("memory takes all bytes");
    }

    /// Begins a run of pages, whose bytes the caller adds.
    pub(crate) fn begin_pages(&mut self, run: PageRun) {
        self.put(&run.first.to_le_bytes());
        self.put(&run.pages.to_le_bytes());
    }

    /// Ends the snapshot, and returns its bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.begin_pages(PageRun { first: 0, pages: 0 });
        self.output.finish().expect("memory takes all bytes")
    }
}
