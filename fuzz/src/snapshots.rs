//! Snapshots of sessions.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use eryx_files::{Layout, Limits, Timestamp};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::session_snapshot::{PAGE, SnapshotReader, SnapshotWriter, files};
use crate::time_slice::TimeSlice;

const MAX_BYTES: u64 = 100_000;
const IMAGE: [u8; 32] = [1; 32];
const FACTORY: [u8; 32] = [2; 32];

/// Reading never panics, never goes beyond the limits of files, and never returns a page that is
/// beyond the memory or out of order. What was read is the same when it is written and read again.
///
/// The first bit of the input chooses whether the rest is a snapshot, or what is compressed in one.
pub fn read(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    if kind & 1 == 0 {
        read_snapshot(rest);
        return;
    }
    let mut bytes = b"\x89eryxss\n\x02\0\0\0".to_vec();
    bytes.extend(IMAGE);
    bytes.extend(FACTORY);
    let mut encoder = ZlibEncoder::new(bytes, Compression::fast());
    encoder.write_all(rest).expect("memory takes all bytes");
    read_snapshot(&encoder.finish().expect("memory takes all bytes"));
}

fn read_snapshot(bytes: &[u8]) {
    let Ok(mut reader) = SnapshotReader::new(bytes, &IMAGE, &FACTORY) else {
        return;
    };
    let facts = reader.facts();
    let limits = Limits::default()
        .with_max_file_bytes(MAX_BYTES)
        .and_then(|limits| limits.with_max_files(20))
        .expect("in range");
    let layout = Layout::builder(Timestamp::default())
        .directory("/tmp/a")
        .and_then(|layout| layout.file("/tmp/a/b", &b"original"[..]))
        .expect("valid")
        .build();
    let mut tree = layout.start(limits, Timestamp::default);
    let slice = TimeSlice;
    let read = now(files::read(&mut reader, &mut tree, &slice));
    assert!(tree.used_bytes() <= MAX_BYTES && tree.used_files() <= 20);
    if read.is_err() {
        return;
    }
    let start = layout.start(limits, Timestamp::default).snapshot();
    let mut writer = SnapshotWriter::new(&IMAGE, &FACTORY, &facts);
    now(files::write(&mut writer, &mut tree, &start, &slice)).expect("written");
    let mut next = 0;
    let mut page = [0; PAGE];
    loop {
        match now(reader.next_pages(0, &slice)) {
            Err(_) => return,
            Ok(None) => break,
            Ok(Some(run)) => {
                let end = u64::from(run.first) + u64::from(run.pages);
                assert!(u64::from(run.first) >= next && end * PAGE as u64 <= facts.memory);
                next = end;
                writer.begin_pages(run);
                for _ in 0..run.pages {
                    if now(reader.fill(&mut page, &slice)).is_err() {
                        return;
                    }
                    writer.put(&page);
                }
            }
        }
    }
    let written = writer.finish();
    let mut again = SnapshotReader::new(&written, &IMAGE, &FACTORY).expect("valid");
    assert_eq!(again.facts(), facts);
    let mut second = layout.start(Limits::default(), Timestamp::default);
    now(files::read(&mut again, &mut second, &slice)).expect("valid");
    // The file of the layout is a new one if it has another name alone.
    assert!((0..=1).contains(&(second.used_files() - tree.used_files())));
    let (tree, second) = (tree.snapshot(), second.snapshot());
    let written = tree.changes_since(&start);
    assert!(written.eq(second.changes_since(&start)));
}

/// Returns the result of a future that never waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return result;
        }
    }
}
