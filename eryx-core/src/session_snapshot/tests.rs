use std::pin::pin;
use std::task::{Context, Poll, Waker};

use eryx_files::{Deferred, FileSystem, Layout, Limits, NewTime, OpenFlags, Timestamp};

use super::*;
use crate::session_snapshot::files::{DIRECTORY, END, FILE, NAME, REMOVED, SYMLINK};
use crate::session_snapshot::header::{HEADER, MAGIC, VERSION};
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

/// Returns the result of a future that waits for nothing, and how often it yields.
fn yields<T>(future: impl Future<Output = T>) -> (T, usize) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    let mut yields = 0;
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
            return (result, yields);
        }
        yields += 1;
    }
}

/// Reads all pages of a snapshot without files.
fn read(bytes: &[u8]) -> Result<Vec<PageRun>, SnapshotError> {
    let mut reader = SnapshotReader::new(bytes, &IMAGE, &FACTORY)?;
    let slice = TimeSlice::new();
    let pages = async {
        let mut runs = Vec::new();
        while let Some(run) = reader.next_pages(0, &slice).await? {
            for _ in 0..run.pages {
                assert_eq!(reader.array::<4096>(&slice).await?, [7; 4096]);
            }
            runs.push(run);
        }
        Ok(runs)
    };
    yields(pages).0
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
        expected: VERSION,
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
        ("size of its memory", big(|facts| facts.memory = 4 << 30)),
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
    read(&big(|facts| facts.memory = MAX_MEMORY)).expect("valid");
    let whole = snapshot(&FACTS, &[run(1, 1)]);
    for length in 0..whole.len() {
        read(&whole[..length]).expect_err("cut off");
    }
}

#[test]
fn no_page_is_below_the_start() {
    let bytes = snapshot(&FACTS, &[run(1, 1)]);
    let mut reader = SnapshotReader::new(&bytes, &IMAGE, &FACTORY).expect("valid");
    let (pages, _) = yields(reader.next_pages(2 * 4096, &TimeSlice::new()));
    let error = pages.expect_err("refused").to_string();
    assert!(error.contains("out of order"), "{error}");
}

/// Returns the files that a session of the tests starts with.
fn layout() -> Layout {
    Layout::builder(Timestamp::from_seconds(1))
        .directory("/tmp")
        .and_then(|layout| layout.file("/data/given", &b"given"[..]))
        .expect("valid")
        .build()
}

/// Returns an entry of a snapshot.
fn entry(tag: u8, path: &str) -> Vec<u8> {
    let mut entry = vec![tag];
    put_text(&mut entry, path);
    match tag {
        DIRECTORY => entry.extend([0; 12]),
        // Without content.
        FILE => entry.extend([0; 20]),
        SYMLINK => put_text(&mut entry, "/tmp"),
        NAME => put_text(&mut entry, "data/given"),
        _ => {}
    }
    entry
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn with_entries(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(&IMAGE, &FACTORY, &FACTS);
    for entry in entries {
        writer.put(entry);
    }
    writer.put(&[END]);
    writer.finish()
}

/// Reads the files of a snapshot while each time slice is over. Returns how often that yields.
fn read_files(bytes: &[u8], start: &mut FileSystem) -> Result<usize, SnapshotError> {
    let slice = TimeSlice::elapsed();
    let mut reader = SnapshotReader::new(bytes, &IMAGE, &FACTORY)?;
    let (result, yields) = yields(files::read(&mut reader, start, &slice));
    result.map(|()| yields)
}

/// Returns the bytes of a snapshot with the changes of `files`.
fn saved(files: &FileSystem, layout: &Layout) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(&IMAGE, &FACTORY, &FACTS);
    let start = layout.start(*files.limits(), Timestamp::default).snapshot();
    let slice = TimeSlice::new();
    let mut files = files.fork();
    let (written, _) = yields(files::write(&mut writer, &mut files, &start, &slice));
    written.expect("written");
    writer.finish()
}

#[test]
fn files_that_no_session_has_are_refused() {
    let deep = |depth: usize| ["d"; 200][..depth].join("/");
    let refused = |entries: &[(u8, &str)]| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(tag, path)| entry(*tag, path))
            .collect();
        let mut files = layout().start(Limits::default(), Timestamp::default);
        let read = read_files(&with_entries(&entries), &mut files);
        read.expect_err(&format!("{entries:?}")).to_string()
    };
    for path in [
        "",
        ".",
        "..",
        "/",
        "/a",
        "a/",
        "tmp//a",
        "tmp/.",
        "tmp/../a",
        "./a",
        "a\0b",
        &deep(129),
    ] {
        for tag in [DIRECTORY, FILE, SYMLINK, REMOVED, NAME] {
            let error = refused(&[(tag, path)]);
            assert!(error.contains("a path that no file can have"), "{error}");
        }
    }
    for (first, second) in [
        ("tmp", "tmp"),
        ("tmp", "data"),
        ("tmp/a", "tmp"),
        ("a.b", "a/b"),
    ] {
        let error = refused(&[(REMOVED, first), (DIRECTORY, second)]);
        assert!(error.contains("out of order"), "{first} {second}: {error}");
    }
    // A link is not followed, and what is missing is not made.
    for path in ["link/a", "link/a/b", "missing/a", "data/given/a"] {
        for tag in [DIRECTORY, FILE, SYMLINK, NAME] {
            let mut entries = vec![(SYMLINK, "link"), (tag, path)];
            entries.sort_by_key(|(_, path)| *path);
            let error = refused(&entries);
            assert!(error.contains("cannot be saved or restored"), "{error}");
        }
    }
}

#[test]
fn a_further_name_of_what_has_none_is_refused() {
    for (first, why) in [
        ("missing", "no such entry"),
        ("x", "no such entry"),
        ("tmp", "not allowed"),
        ("link/given", "not a directory"),
        ("link", ""),
        ("data/../data/given", "no file can have"),
        ("/data/given", "no file can have"),
    ] {
        let mut name = vec![NAME];
        put_text(&mut name, "x");
        put_text(&mut name, first);
        let mut link = vec![SYMLINK];
        put_text(&mut link, "link");
        put_text(&mut link, "/data");
        let mut files = layout().start(Limits::default(), Timestamp::default);
        let read = read_files(&with_entries(&[link, name]), &mut files);
        match read {
            // A symbolic link has further names, too.
            Ok(_) => assert_eq!((first, files.used_files()), ("link", 2)),
            Err(error) => {
                assert!(error.to_string().contains(why), "{first}: {error}");
                let names_it = error
                    .to_string()
                    .contains(&format!("name of the file {first:?}"));
                assert_eq!(names_it, !why.contains("no file"), "{first}: {error}");
            }
        }
    }
}

#[test]
fn names_of_one_file_stay_so_and_count_as_before() {
    const SIZE: usize = 1 << 20;
    let layout = layout();
    let limits = Limits::default()
        .with_max_file_bytes(SIZE as u64 + 20)
        .and_then(|limits| limits.with_max_files(36))
        .expect("limits");
    let mut files = layout.start(limits, Timestamp::default);
    let root = files.open_root().expect("the root");
    let flags = OpenFlags {
        create: true,
        write: true,
        ..OpenFlags::default()
    };
    let file = files.open_at(root, "tmp/m", flags).expect("created");
    // Does not compress.
    let mut state = 1_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(SIZE)
    .collect();
    let mut done = 0;
    while done < SIZE {
        done += files.append(file, &content[done..]).expect("written");
    }
    files.close(file).expect("closed");
    files.symlink_at("m", root, "tmp/link").expect("created");
    let mut names = vec![
        ("tmp/link", "a-link".to_owned()),
        // Its content is as it was.
        ("data/given", "given".to_owned()),
    ];
    names.extend((0..30).map(|number| ("tmp/m", format!("tmp/{number}"))));
    for (old, new) in &names {
        files.link_at(root, false, old, root, new).expect("linked");
    }
    // What is left has another first name.
    files.unlink_file_at(root, "tmp/0").expect("removed");
    names.retain(|(_, new)| new != "tmp/0");
    assert_eq!(files.used_bytes(), SIZE as u64 + 1);

    let bytes = saved(&files, &layout);
    assert!(bytes.len() < SIZE + 100_000, "{}", bytes.len());
    let mut read = layout.start(limits, Timestamp::default);
    read_files(&bytes, &mut read).expect("valid");
    let used = |files: &FileSystem| (files.used_bytes(), files.used_files());
    assert_eq!(used(&read), used(&files));
    let read_root = read.open_root().expect("the root");
    for (old, new) in &names {
        let [old, new] = [*old, &**new].map(|path| read.stat_at(read_root, false, path));
        assert_eq!(old, new);
        assert!(old.expect("a file").links > 1);
    }

    // A file of the start whose content changed, and which has no other name any more.
    let append = OpenFlags {
        write: true,
        ..OpenFlags::default()
    };
    let file = read.open_at(read_root, "given", append).expect("a file");
    assert_eq!(read.write(file, 0, b"G"), Ok(1));
    read.close(file).expect("closed");
    read.unlink_file_at(read_root, "a-link").expect("removed");
    let mut again = layout.start(limits, Timestamp::default);
    read_files(&saved(&read, &layout), &mut again).expect("valid");
    assert_eq!(used(&again), used(&read));
    let root = again.open_root().expect("the root");
    let [old, new] = ["data/given", "given"].map(|path| again.stat_at(root, false, path));
    assert_eq!(old, new);
    let differences = read.snapshot();
    let differences = differences.get("/given");
    assert_eq!(again.snapshot().get("/data/given"), differences);
}

#[test]
fn files_in_a_mount_are_neither_written_nor_removed() {
    let devices = eryx_files::DeviceDirectory::new(Timestamp::default());
    let mount = eryx_files::Mount::Directory(std::sync::Arc::new(devices));
    let layout = layout()
        .extend(Timestamp::default())
        .mount("/data/mount", mount)
        .expect("valid")
        .build();
    for (tag, path) in [
        (DIRECTORY, "data/mount"),
        (REMOVED, "data/mount"),
        (REMOVED, "data"),
        (FILE, "data"),
        (FILE, "data/mount/a"),
        (REMOVED, "data/mount/a"),
    ] {
        let mut files = layout.start(Limits::default(), Timestamp::default);
        let error = read_files(&with_entries(&[entry(tag, path)]), &mut files);
        let error = error.expect_err(path).to_string();
        assert!(error.contains("mount point"), "{path}: {error}");
    }
}

#[test]
fn files_and_their_times_are_read_as_they_were() {
    let layout = layout();
    let mut files = layout.start(Limits::default(), || Timestamp::from_seconds(5));
    let root = files.open_root().expect("the root");
    let deepest = ["d"; Limits::MAX_DEPTH].join("/");
    let mut directories = vec!["tmp/a", "tmp/a/b", "tmp/a-b", "tmp/a.b", "tmp/ab"];
    directories.extend(deepest.match_indices('/').map(|(end, _)| &deepest[..end]));
    directories.push(&deepest);
    for path in &directories {
        files.create_directory_at(root, path).expect("created");
    }
    for (number, path) in directories.iter().enumerate() {
        let time = NewTime::At(Timestamp::from_seconds(100 + number as u64));
        files
            .set_times_at(root, false, path, NewTime::Keep, time)
            .expect("set");
    }
    files.unlink_file_at(root, "data/given").expect("removed");
    let mut read = layout.start(Limits::default(), || Timestamp::from_seconds(9));
    read_files(&saved(&files, &layout), &mut read).expect("valid");
    assert_eq!(
        (read.open_count(), read.used_files()),
        (0, files.used_files())
    );
    let root = read.open_root().expect("the root");
    for (number, path) in directories.iter().enumerate() {
        let stat = read.stat_at(root, false, path).expect("a directory");
        assert_eq!(stat.modified.seconds(), 100 + number as u64, "{path}");
    }
    assert!(read.stat_at(root, false, "data/given").is_err());
    let before = files.snapshot();
    assert_eq!(read.snapshot().changes_since(&before).count(), 0);
}

#[test]
fn changed_files_are_restored_also_where_their_directory_is_not_given() {
    let layout = layout()
        .extend(Timestamp::from_seconds(1))
        .file("/data/a/removed", &b""[..])
        .and_then(|layout| layout.file("/data/b/changed", &b""[..]))
        .and_then(|layout| layout.file("/data/kept", &b""[..]))
        .expect("valid")
        .build();
    let mut files = layout.start(Limits::default(), Timestamp::default);
    let root = files.open_root().expect("the root");
    files
        .unlink_file_at(root, "data/a/removed")
        .expect("removed");
    let flags = OpenFlags {
        create: true,
        write: true,
        ..OpenFlags::default()
    };
    for path in ["data/b/changed", "data/given", "data/new"] {
        let file = files.open_at(root, path, flags).expect("opened");
        assert_eq!(files.write(file, 0, b"changed"), Ok(7));
        files.close(file).expect("closed");
    }
    // A name before and one after that of the start.
    for name in ["data/a-name", "tmp/name"] {
        files
            .link_at(root, false, "data/given", root, name)
            .expect("linked");
    }
    let time = NewTime::At(Timestamp::from_seconds(77));
    for path in ["data", "data/b"] {
        files
            .set_times_at(root, false, path, NewTime::Keep, time)
            .expect("set");
    }
    let bytes = saved(&files, &layout);
    let without = Layout::builder(Timestamp::default())
        .directory("/tmp")
        .expect("valid")
        .build();
    for start in [&layout, &without] {
        let mut read = start.start(Limits::default(), Timestamp::default);
        read_files(&bytes, &mut read).expect("valid");
        assert_eq!(read.open_count(), 0);
        let root = read.open_root().expect("the root");
        let stat = |path| read.stat_at(root, false, path);
        for path in ["data/b/changed", "data/given", "data/new"] {
            assert_eq!(stat(path).expect(path).size, 7, "{path}");
        }
        let given = stat("data/given");
        assert_eq!(given.expect("a file").links, 3);
        for path in ["data/a-name", "tmp/name"] {
            assert_eq!(stat(path), given, "{path}");
        }
        for path in ["data", "data/b"] {
            assert_eq!(stat(path).expect(path).modified.seconds(), 77, "{path}");
        }
        assert!(stat("data/a/removed").is_err());
    }
}

#[test]
fn content_that_cannot_be_provided_is_an_error_and_not_an_empty_file() {
    let broken = Deferred::new(None, || Err(std::io::Error::other("broken")));
    let layout = layout()
        .extend(Timestamp::from_seconds(1))
        .deferred("/data/broken", std::sync::Arc::new(broken))
        .expect("valid")
        .build();
    let mut files = layout.start(Limits::default(), Timestamp::default);
    let start = files.snapshot();
    let root = files.open_root().expect("the root");
    files
        .rename_at(root, "data/broken", root, "tmp/broken")
        .expect("renamed");
    let mut writer = SnapshotWriter::new(&IMAGE, &FACTORY, &FACTS);
    let slice = TimeSlice::new();
    let (written, _) = yields(files::write(&mut writer, &mut files, &start, &slice));
    let error = written.expect_err("it has no content").to_string();
    assert!(error.contains("/tmp/broken"), "{error}");
}

#[test]
fn removing_a_directory_yields_and_holds_one_level_open() {
    const WIDTH: usize = 500;
    let deep = ["d"; 100].join("/");
    let mut layout = layout().extend(Timestamp::default());
    for number in 0..WIDTH {
        layout = layout
            .directory(&format!("/tmp/{deep}/{number}"))
            .and_then(|layout| layout.file(&format!("/tmp/{number}/file"), &b""[..]))
            .expect("valid");
    }
    let limits = Limits::default().with_max_open(4).expect("a limit");
    let mut files = layout.build().start(limits, Timestamp::default);
    let read = read_files(&with_entries(&[entry(REMOVED, "tmp")]), &mut files);
    let steps = read.expect("valid");
    assert!(steps >= 3 * WIDTH, "{steps}");
    assert_eq!((files.open_count(), files.used_files()), (0, 0));
    let root = files.open_root().expect("the root");
    assert!(files.stat_at(root, false, "tmp").is_err());
    files
        .open_at(root, "data/given", OpenFlags::default())
        .expect("not removed");
}

/// Returns a stored block of a deflate stream.
fn stored(content: &[u8], is_last: bool) -> Vec<u8> {
    let length = content.len() as u16;
    let mut block = vec![u8::from(is_last)];
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.extend(content);
    block
}

/// Returns a snapshot whose stream has this many empty blocks in front of its content, and between
/// the facts and the files.
fn with_empty_blocks(before: usize, between: usize) -> Vec<u8> {
    let mut facts = FACTS.memory.to_le_bytes().to_vec();
    facts.extend(FACTS.clock.to_le_bytes());
    facts.push(HAS_NETWORK);
    let rest = [&[END][..], &[0; 8]].concat();
    let (low, high) = [&facts[..], &rest]
        .concat()
        .iter()
        .fold((1, 0), |sums, byte| {
            let low = (sums.0 + u32::from(*byte)) % 65_521;
            (low, (sums.1 + low) % 65_521)
        });
    let mut bytes = header::encode(&IMAGE, &FACTORY);
    bytes.extend([0x78, 0x01]);
    bytes.extend(stored(b"", false).repeat(before));
    bytes.extend(stored(&facts, false));
    bytes.extend(stored(b"", false).repeat(between));
    bytes.extend(stored(&rest, true));
    bytes.extend((high << 16 | low).to_be_bytes());
    bytes
}

#[test]
fn a_stream_that_expands_to_nothing_yields_and_does_not_begin_a_snapshot() {
    const BLOCKS: usize = 200_000;
    let bytes = with_empty_blocks(0, BLOCKS);
    let slice = TimeSlice::elapsed();
    let mut reader = SnapshotReader::new(&bytes, &IMAGE, &FACTORY).expect("valid");
    assert_eq!(reader.facts(), FACTS);
    let mut files = layout().start(Limits::default(), Timestamp::default);
    let (read, steps) = yields(files::read(&mut reader, &mut files, &slice));
    read.expect("valid");
    // A step reads 4 KiB.
    assert!(steps >= 5 * BLOCKS / 4096, "{steps}");
    let (pages, _) = yields(reader.next_pages(0, &slice));
    assert_eq!(pages, Ok(None));

    let bytes = with_empty_blocks(BLOCKS, 0);
    let refused = SnapshotReader::new(&bytes, &IMAGE, &FACTORY).err();
    let refused = refused.expect("refused").to_string();
    assert!(refused.contains("ends too early"), "{refused}");
}
