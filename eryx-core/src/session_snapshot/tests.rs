use super::*;
use crate::session_snapshot::header::{FORMAT, HEADER, MAGIC};
use crate::snapshot_error::SnapshotError;

const IMAGE: Digest = [1; DIGEST];
const FACTORY: Digest = [2; DIGEST];

const FACTS: SessionFacts = SessionFacts {
    memory: 2 << 16,
    clock: 12,
    handles: Handles {
        network: true,
        listings: false,
    },
    had_stdin: false,
};

/// Returns a snapshot without files, with these runs of pages.
fn snapshot(facts: &SessionFacts, runs: &[PageRun]) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(&IMAGE, &FACTORY, facts);
    for run in runs {
        writer.begin_pages(*run);
        writer.put(&vec![7; run.pages as usize * PAGE]);
    }
    writer.finish()
}

/// Reads all pages of a snapshot without files.
fn read(bytes: &[u8]) -> Result<Vec<PageRun>, SnapshotError> {
    let mut reader = SnapshotReader::new(bytes, &IMAGE, &FACTORY)?;
    let mut runs = Vec::new();
    while let Some(run) = reader.next_pages(0)? {
        for _ in 0..run.pages {
            assert_eq!(reader.array::<4096>()?, [7; 4096]);
        }
        runs.push(run);
    }
    Ok(runs)
}

fn run(first: u32, pages: u32) -> PageRun {
    PageRun { first, pages }
}

#[test]
fn what_is_written_is_read() {
    let runs = [run(1, 2), run(5, 1), run(31, 1)];
    let bytes = snapshot(&FACTS, &runs);
    let reader = SnapshotReader::new(&bytes, &IMAGE, &FACTORY).expect("valid");
    assert_eq!(reader.facts(), FACTS);
    assert_eq!(read(&bytes).expect("valid"), runs);
    let mut page = [1, 2, 3, 4];
    xor(&mut page, &[1, 1]);
    assert_eq!(page, [0, 3, 3, 4]);
}

#[test]
fn a_snapshot_of_another_kind_is_refused_by_what_is_different() {
    let bytes = snapshot(&FACTS, &[]);
    let refused = |bytes: &[u8]| {
        let read = SnapshotReader::new(bytes, &IMAGE, &FACTORY);
        read.err().expect("refused")
    };
    assert!(SnapshotReader::new(&bytes, &IMAGE, &FACTORY).is_ok());
    let other = SnapshotReader::new(&bytes, &FACTORY, &FACTORY);
    assert_eq!(other.err(), Some(SnapshotError::OtherImage));
    let other = SnapshotReader::new(&bytes, &IMAGE, &IMAGE);
    assert_eq!(other.err(), Some(SnapshotError::OtherFactory));
    assert_eq!(refused(b""), SnapshotError::NotASnapshot);
    assert_eq!(refused(&[0; 200]), SnapshotError::NotASnapshot);
    assert_eq!(refused(&bytes[..HEADER - 1]), SnapshotError::NotASnapshot);
    let mut other = bytes.clone();
    other[MAGIC.len()] = 77;
    let expected = SnapshotError::Format {
        found: 77,
        expected: FORMAT,
    };
    assert_eq!(refused(&other), expected);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let big = |change: fn(&mut SessionFacts)| {
        let mut facts = FACTS;
        change(&mut facts);
        snapshot(&facts, &[])
    };
    for (why, bytes) in [
        (
            "size of its memory",
            big(|facts| facts.memory = (4 << 30) + (1 << 16)),
        ),
        ("size of its memory", big(|facts| facts.memory = 100)),
        ("clock", big(|facts| facts.clock = u64::MAX)),
        ("beyond its memory", snapshot(&FACTS, &[run(31, 2)])),
        ("out of order", snapshot(&FACTS, &[run(5, 1), run(5, 1)])),
        ("out of order", snapshot(&FACTS, &[run(5, 1), run(4, 1)])),
        (
            "bytes after its end",
            [snapshot(&FACTS, &[run(1, 1)]), vec![1]].concat(),
        ),
    ] {
        let error = read(&bytes).expect_err(why).to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let whole = snapshot(&FACTS, &[run(1, 1)]);
    for length in 0..whole.len() {
        read(&whole[..length]).expect_err("cut off");
    }
}

#[test]
fn no_page_is_below_the_start() {
    let bytes = snapshot(&FACTS, &[run(1, 1)]);
    let mut reader = SnapshotReader::new(&bytes, &IMAGE, &FACTORY).expect("valid");
    let error = reader
        .next_pages(2 * 4096)
        .expect_err("refused")
        .to_string();
    assert!(error.contains("out of order"), "{error}");
}
