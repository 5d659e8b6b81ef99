//! Budgets at their bounds, and hostile arguments.

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eryx_files::{
    Descriptor, Error, FileSystem, Layout, Limits, NewTime, OpenFlags, Source, Timestamp,
};

use support::{CREATE, start_with};

fn start(limits: Limits) -> (FileSystem, Descriptor) {
    let layout = Layout::builder(Timestamp::default()).build();
    start_with(&layout, limits)
}

fn bytes(bytes: u64) -> Limits {
    Limits::default()
        .with_max_file_bytes(bytes)
        .expect("a limit")
}

/// Writes all of the data, in as many calls as it takes, and returns how many bytes fitted.
fn write_all(
    files: &mut FileSystem,
    file: Descriptor,
    mut offset: u64,
    data: &[u8],
) -> Result<usize, Error> {
    let mut done = 0;
    while done < data.len() {
        let room = files.room(file, Some(offset), data.len() - done);
        let written = files.write(file, offset, &data[done..]);
        assert_eq!(room, written);
        match written {
            Ok(written) => {
                assert!((1..=Limits::MAX_TRANSFER).contains(&written));
                done += written;
                offset += written as u64;
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[test]
fn a_program_can_write_exactly_max_file_bytes() {
    const MAX: u64 = 300_001;
    let (mut files, root) = start(bytes(MAX));
    let file = files.open_at(root, "a", CREATE).expect("a file");
    let other = files.open_at(root, "b", CREATE).expect("a file");
    assert_eq!(files.write(other, 0, b"x"), Ok(1));
    // The rest fits, and one byte does not.
    let data = vec![1; MAX as usize];
    assert_eq!(write_all(&mut files, file, 0, &data), Ok(300_000));
    assert_eq!(files.used_bytes(), MAX);
    for (file, offset) in [(file, 300_000), (other, 1), (other, 70_000)] {
        assert_eq!(files.write(file, offset, b"x"), Err(Error::NoSpace));
    }
    assert_eq!(files.append(other, b"x"), Err(Error::NoSpace));
    assert_eq!(files.set_size(other, 2), Err(Error::NoSpace));
    assert_eq!(files.symlink_at("x", root, "c"), Err(Error::NoSpace));
    assert_eq!(
        files.used_files(),
        2,
        "a link that does not fit leaves nothing"
    );
    // What exists can be overwritten.
    assert_eq!(write_all(&mut files, file, 0, &[2; 300_000]), Ok(300_000));
    assert_eq!(files.stat(other).expect("a file").size, 1);
    // What is removed can be written again, when it is closed.
    files.unlink_file_at(root, "a").expect("removed");
    assert_eq!(files.append(other, b"x"), Err(Error::NoSpace));
    files.close(file).expect("closed");
    assert_eq!(files.used_bytes(), 1);
    assert_eq!(write_all(&mut files, other, 1, &data), Ok(300_000));
    files.set_size(other, 0).expect("emptied");
    assert_eq!(files.used_bytes(), 0);
}

#[test]
fn a_hole_counts_and_an_offset_beyond_the_budget_is_refused() {
    let (mut files, root) = start(bytes(1 << 20));
    let file = files.open_at(root, "a", CREATE).expect("a file");
    assert_eq!(files.write(file, 1 << 20, b"xy"), Err(Error::NoSpace));
    for offset in [(1 << 20) + 1, 1 << 40, u64::MAX - 1, u64::MAX] {
        assert_eq!(
            files.write(file, offset, b"xy"),
            Err(Error::FileTooLarge),
            "{offset}"
        );
    }
    for size in [(1 << 20) + 1, 1 << 40, u64::MAX] {
        assert_eq!(
            files.set_size(file, size),
            Err(Error::FileTooLarge),
            "{size}"
        );
        assert_eq!(files.read(file, size, u64::MAX).expect("nothing"), "");
    }
    assert_eq!(files.used_bytes(), 0);
    // Two bytes, of which one fits.
    assert_eq!(files.write(file, (1 << 20) - 1, b"xy"), Ok(1));
    assert_eq!(files.used_bytes(), 1 << 20);
    let other = files.open_at(root, "b", CREATE).expect("a file");
    assert_eq!(files.write(other, 0, b"x"), Err(Error::NoSpace));
    assert_eq!(files.write(other, 0, b""), Ok(0));
    // The hole can be filled.
    assert_eq!(files.write(file, 1000, b"x"), Ok(1));
    assert_eq!(files.read(file, 998, 4).expect("read"), &b"\0\0x\0"[..]);
}

#[test]
fn max_files_counts_names_and_open_files_without_a_name() {
    let limits = Limits::default().with_max_files(4).expect("a limit");
    let (mut files, root) = start(limits);
    let file = files.open_at(root, "file", CREATE).expect("a file");
    files
        .create_directory_at(root, "directory")
        .expect("created");
    files.symlink_at("file", root, "link").expect("created");
    files
        .link_at(root, false, "file", root, "name")
        .expect("linked");
    assert_eq!(files.used_files(), 4);
    assert_eq!(files.open_at(root, "x", CREATE), Err(Error::NoSpace));
    assert_eq!(files.create_directory_at(root, "x"), Err(Error::NoSpace));
    assert_eq!(files.symlink_at("file", root, "x"), Err(Error::NoSpace));
    assert_eq!(
        files.link_at(root, false, "file", root, "x"),
        Err(Error::NoSpace)
    );
    // The file still exists without a name.
    files.unlink_file_at(root, "file").expect("removed");
    assert_eq!(files.used_files(), 3);
    files.unlink_file_at(root, "name").expect("removed");
    assert_eq!(files.used_files(), 3);
    files.close(file).expect("closed");
    assert_eq!(files.used_files(), 2);
    // A file that is replaced ceases to exist.
    for name in ["a", "b"] {
        let file = files.open_at(root, name, CREATE).expect("a file");
        files.close(file).expect("closed");
    }
    files.rename_at(root, "a", root, "b").expect("renamed");
    assert_eq!(files.used_files(), 3);
    files
        .remove_directory_at(root, "directory")
        .expect("removed");
    files.unlink_file_at(root, "link").expect("removed");
    files.unlink_file_at(root, "b").expect("removed");
    assert_eq!((files.used_files(), files.used_bytes()), (0, 0));
}

#[test]
fn max_open_counts_files_directories_and_listings() {
    let limits = Limits::default().with_max_open(3).expect("a limit");
    let (mut files, root) = start(limits);
    let file = files.open_at(root, "file", CREATE).expect("a file");
    let listing = files.list(root).expect("a listing");
    assert_eq!(files.open_at(root, "new", CREATE), Err(Error::TooManyOpen));
    assert_eq!(files.stat_at(root, true, "new"), Err(Error::NoEntry));
    assert_eq!(files.open_root(), Err(Error::TooManyOpen));
    assert_eq!(files.list(root), Err(Error::TooManyOpen));
    files.close_listing(listing).expect("closed");
    let other = files.open_root().expect("the root");
    assert_eq!(files.open_count(), 3);
    for descriptor in [file, root, other] {
        files.close(descriptor).expect("closed");
        // No number is given out again.
        assert_eq!(files.close(descriptor), Err(Error::BadDescriptor));
        assert_eq!(files.stat(descriptor), Err(Error::BadDescriptor));
        let listed = files.list(descriptor);
        assert_eq!(listed, Err(Error::BadDescriptor));
    }
    assert_eq!(files.close_listing(listing), Err(Error::BadDescriptor));
    assert_eq!(files.next_entry(listing), Err(Error::BadDescriptor));
    assert_eq!(files.open_count(), 0);
}

/// Content that counts how many bytes of it are read.
#[derive(Debug)]
struct Counted {
    size: u64,
    read: AtomicU64,
}

impl Source for Counted {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // Fewer than wanted, as a source may.
        let length = buffer.len().min(1000);
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        for (at, byte) in buffer[..length].iter_mut().enumerate() {
            *byte = (offset + at as u64) as u8;
        }
        Ok(length)
    }
}

#[test]
fn content_of_the_layout_is_read_when_it_is_used_and_counts_by_the_block_when_it_changes() {
    const SIZE: u64 = 1 << 40;
    const BLOCK: u64 = 64 << 10;
    let source = Arc::new(Counted {
        size: SIZE,
        read: AtomicU64::new(0),
    });
    let read = || source.read.swap(0, Ordering::Relaxed);
    let layout = Layout::builder(Timestamp::default()).source("/in", source.clone());
    let layout = layout.expect("a file").build();
    let mut files = layout.start(bytes(2 * BLOCK), Timestamp::default);
    let root = files.open_root().expect("the root");
    let file = files.open_at(root, "in", CREATE).expect("a file");
    assert_eq!((files.stat(file).expect("a file").size, read()), (SIZE, 0));
    assert_eq!(files.read(file, 300, 2).expect("read"), &[44, 45][..]);
    assert_eq!((files.used_bytes(), read()), (0, 2));
    // A byte at the end changes, and the block that contains it counts.
    assert_eq!(files.write(file, SIZE - 1, b"x"), Ok(1));
    assert_eq!((files.used_bytes(), read()), (BLOCK, BLOCK));
    assert_eq!(
        files.read(file, SIZE - 2, 10).expect("read"),
        &[254, b'x'][..]
    );
    // The file grows.
    assert_eq!(files.write(file, SIZE, b"yz"), Ok(2));
    assert_eq!(files.used_bytes(), BLOCK + 2);
    assert_eq!(files.write(file, 0, b"x"), Err(Error::NoSpace));
    assert_eq!(
        files.write(file, SIZE + 2 * BLOCK + 1, b"x"),
        Err(Error::FileTooLarge)
    );
    files.set_size(file, SIZE).expect("shortened");
    assert_eq!(files.used_bytes(), BLOCK);
    assert_eq!(files.write(file, 5, b"x"), Ok(1));
    assert_eq!(files.used_bytes(), 2 * BLOCK);
    files.set_size(file, 10).expect("shortened");
    assert_eq!(files.used_bytes(), 10);
    files.set_size(file, 20).expect("extended");
    let expected = b"\0\x01\x02\x03\x04x\x06\x07\x08\x09\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(files.read(file, 0, 100).expect("read"), &expected[..]);
    assert_eq!(files.used_bytes(), 20);
    files.unlink_file_at(root, "in").expect("removed");
    files.close(file).expect("closed");
    assert_eq!((files.used_bytes(), files.used_files()), (0, 0));
    assert_eq!(files.stat_at(root, true, "in"), Err(Error::NoEntry));
}

/// Content that cannot be read.
#[derive(Debug)]
struct Broken(ReadFunction);

type ReadFunction = fn(&mut [u8]) -> io::Result<usize>;

impl Source for Broken {
    fn size(&self) -> u64 {
        1000
    }

    fn read_at(&self, _: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (self.0)(buffer)
    }
}

#[test]
fn a_source_that_fails_ends_early_or_returns_nonsense_is_an_error_of_the_read() {
    let results: [ReadFunction; 3] = [
        |_| Err(io::Error::other("secret")),
        |_| Ok(0),
        |buffer| Ok(buffer.len() + 1),
    ];
    for result in results {
        let layout = Layout::builder(Timestamp::default()).source("in", Arc::new(Broken(result)));
        let layout = layout.expect("a file").build();
        let mut files = layout.start(Limits::default(), Timestamp::default);
        let root = files.open_root().expect("the root");
        let file = files.open_at(root, "in", CREATE).expect("a file");
        assert_eq!(files.read(file, 0, 10), Err(Error::Io));
        assert_eq!(files.write(file, 0, b"x"), Err(Error::Io));
        assert_eq!(files.used_bytes(), 0, "a write that fails takes nothing");
        let snapshot = files.snapshot();
        let before = layout
            .start(Limits::default(), Timestamp::default)
            .snapshot();
        assert_eq!(snapshot.changes_since(&before).count(), 0);
        files.set_size(file, 0).expect("emptied");
        assert_eq!(files.write(file, 0, b"x"), Ok(1));
    }
}

#[test]
fn names_paths_and_targets_have_their_bounds() {
    let (mut files, root) = start(Limits::default());
    let name = "n".repeat(Limits::MAX_NAME);
    files.create_directory_at(root, &name).expect("created");
    files.stat_at(root, true, &name).expect("a directory");
    let long = "n".repeat(Limits::MAX_NAME + 1);
    let path = "./".repeat(Limits::MAX_PATH / 2) + ".";
    assert_eq!(path.len(), Limits::MAX_PATH);
    files.stat_at(root, true, &path).expect("the root");
    for path in [long.clone(), format!("{long}/x"), format!("{path}/")] {
        assert_eq!(
            files.create_directory_at(root, &path),
            Err(Error::NameTooLong)
        );
        assert_eq!(files.stat_at(root, true, &path), Err(Error::NameTooLong));
    }
    let target = "t".repeat(Limits::MAX_PATH);
    files.symlink_at(&target, root, "link").expect("created");
    assert_eq!(files.readlink_at(root, "link").as_deref(), Ok(&*target));
    let target = target + "t";
    assert_eq!(
        files.symlink_at(&target, root, "x"),
        Err(Error::NameTooLong)
    );
    assert_eq!(files.symlink_at("", root, "x"), Err(Error::NoEntry));
    for (path, error) in [
        ("", Error::NoEntry),
        ("/", Error::NotPermitted),
        ("/tmp", Error::NotPermitted),
        ("a\0b", Error::Invalid),
        ("\0", Error::Invalid),
    ] {
        assert_eq!(files.stat_at(root, true, path), Err(error), "{path:?}");
        assert_eq!(
            files.create_directory_at(root, path),
            Err(error),
            "{path:?}"
        );
        assert_eq!(files.open_at(root, path, CREATE), Err(error), "{path:?}");
        assert_eq!(
            files.rename_at(root, path, root, "x"),
            Err(error),
            "{path:?}"
        );
        assert_eq!(
            files.rename_at(root, &name, root, path),
            Err(error),
            "{path:?}"
        );
    }
    assert_eq!(files.symlink_at("a\0b", root, "x"), Err(Error::Invalid));
    // Names are bytes: what looks alike is not the same, and nothing is a special name.
    for name in [
        "\u{e9}", "e\u{301}", "...", ". ", "\\", "a\nb", "\u{202e}", "-", "C:",
    ] {
        files.create_directory_at(root, name).expect(name);
        assert_eq!(files.create_directory_at(root, name), Err(Error::Exists));
    }
}

#[test]
fn no_entry_is_deeper_or_has_a_longer_path_than_the_limits() {
    let (mut files, root) = start(Limits::default());
    let mut directory = root;
    for _ in 1..Limits::MAX_DEPTH {
        files.create_directory_at(directory, "d").expect("created");
        directory = open_directory(&mut files, directory, "d");
    }
    files.create_directory_at(directory, "d").expect("created");
    let deepest = open_directory(&mut files, directory, "d");
    assert_eq!(
        files.create_directory_at(deepest, "d"),
        Err(Error::NameTooLong)
    );
    assert_eq!(files.open_at(deepest, "f", CREATE), Err(Error::NameTooLong));
    assert_eq!(files.symlink_at("x", deepest, "l"), Err(Error::NameTooLong));
    // A directory cannot be renamed to where its entries would be too deep.
    files.create_directory_at(root, "a").expect("created");
    files.create_directory_at(root, "a/b").expect("created");
    assert_eq!(
        files.rename_at(root, "a", directory, "a"),
        Err(Error::NameTooLong)
    );
    files.remove_directory_at(root, "a/b").expect("removed");
    files.rename_at(root, "a", directory, "a").expect("renamed");
    files.remove_directory_at(directory, "a").expect("removed");

    // 15 names of 255 bytes, and one of 254, are 4095 bytes with their slashes.
    let name = "n".repeat(Limits::MAX_NAME);
    let mut directory = root;
    for _ in 0..15 {
        files
            .create_directory_at(directory, &name)
            .expect("created");
        directory = open_directory(&mut files, directory, &name);
    }
    assert_eq!(
        files.create_directory_at(directory, &name),
        Err(Error::NameTooLong)
    );
    files
        .create_directory_at(directory, &name[1..])
        .expect("created");
    // The path of an entry counts when a directory above it gets a longer name.
    files.create_directory_at(root, "m").expect("created");
    files.create_directory_at(root, "m/n").expect("created");
    let top = open_directory(&mut files, root, "m");
    files
        .rename_at(root, &name, top, &name[2..])
        .expect("as long as before");
    assert_eq!(
        files.rename_at(top, &name[2..], top, &name[1..]),
        Err(Error::NameTooLong)
    );
}

fn open_directory(files: &mut FileSystem, parent: Descriptor, name: &str) -> Descriptor {
    files
        .open_at(parent, name, OpenFlags::default())
        .expect("a directory")
}

#[test]
fn a_path_follows_at_most_40_links_and_looks_up_at_most_1024_entries() {
    let (mut files, root) = start(Limits::default());
    files.create_directory_at(root, "l0").expect("created");
    for link in 1..=41 {
        let target = format!("l{}", link - 1);
        files
            .symlink_at(&target, root, &format!("l{link}"))
            .expect("created");
    }
    files.stat_at(root, true, "l40").expect("40 links");
    assert_eq!(files.stat_at(root, true, "l41"), Err(Error::Loop));
    files.stat_at(root, false, "l41").expect("the link itself");
    files.symlink_at("loop", root, "loop").expect("created");
    assert_eq!(files.stat_at(root, true, "loop"), Err(Error::Loop));
    assert_eq!(files.stat_at(root, true, "loop/x"), Err(Error::Loop));
    let flags = OpenFlags {
        follow: false,
        ..CREATE
    };
    assert_eq!(files.open_at(root, "loop", flags), Err(Error::Loop));

    // `l0/..` are two.
    let path = "l0/../".repeat(Limits::MAX_LOOKUPS / 2 - 1) + "l0";
    files
        .stat_at(root, true, &(path.clone() + "/."))
        .expect("1023");
    files
        .stat_at(root, true, &(path.clone() + "/.."))
        .expect("1024");
    assert_eq!(
        files.stat_at(root, true, &(path.clone() + "/../l0")),
        Err(Error::NameTooLong)
    );
    // The targets of links count, too.
    let target = path + "/..";
    files.symlink_at(&target, root, "long").expect("created");
    assert_eq!(files.stat_at(root, true, "long"), Err(Error::NameTooLong));
}

#[test]
fn a_path_has_at_most_4096_components_with_those_of_its_links() {
    let (mut files, root) = start(Limits::default());
    // The longest path has 2048.
    let dots = "./".repeat(2047) + ".";
    assert_eq!(dots.len(), Limits::MAX_PATH);
    files.stat_at(root, true, &dots).expect("the root");
    files.symlink_at(&dots, root, "dots").expect("created");
    let rest = "./".repeat(2045) + ".";
    files.symlink_at(&rest, root, "rest").expect("created");
    files.stat_at(root, true, "dots/rest").expect("4096");
    for path in ["dots/rest/.", "dots/dots", &"dots/".repeat(40)] {
        let found = files.stat_at(root, true, path);
        assert_eq!(found, Err(Error::NameTooLong), "{path}");
    }
    let slashes = "dots".to_owned() + &"/".repeat(4000) + ".";
    files.stat_at(root, true, &slashes).expect("2050");
}

#[test]
fn a_link_to_an_absolute_path_leads_to_the_root_of_the_program() {
    let (mut files, root) = start(Limits::default());
    files.create_directory_at(root, "a").expect("created");
    files.create_directory_at(root, "a/b").expect("created");
    for (target, path, number) in [
        ("/a/b", "x", "a/b"),
        ("/", "x", "."),
        ("//a//", "x", "a"),
        ("/a", "x/b", "a/b"),
        ("/a/..", "x", "."),
        ("/a/../..", "x", "."),
        ("/../../a/b", "x", "a/b"),
        ("/a/b/c", "x", "error"),
    ] {
        files.symlink_at(target, root, "a/b/x").expect("created");
        let found = files.stat_at(root, true, &format!("a/b/{path}"));
        let found = found.ok().map(|stat| stat.identity);
        let expected = files.stat_at(root, true, number);
        assert_eq!(found, expected.ok().map(|stat| stat.identity), "{target}");
        files.unlink_file_at(root, "a/b/x").expect("removed");
    }
}

#[test]
fn a_removed_directory_that_is_open_stays_empty() {
    let (mut files, root) = start(Limits::default());
    files.create_directory_at(root, "a").expect("created");
    files.create_directory_at(root, "a/b").expect("created");
    let inner = open_directory(&mut files, root, "a/b");
    let listing = files.list(inner).expect("a listing");
    files.remove_directory_at(root, "a/b").expect("removed");
    files.remove_directory_at(root, "a").expect("removed");
    let file = files.open_at(root, "f", CREATE).expect("a file");
    assert_eq!(files.open_at(inner, "x", CREATE), Err(Error::NoEntry));
    assert_eq!(files.create_directory_at(inner, "x"), Err(Error::NoEntry));
    assert_eq!(files.symlink_at("x", inner, "x"), Err(Error::NoEntry));
    assert_eq!(
        files.link_at(root, true, "f", inner, "x"),
        Err(Error::NoEntry)
    );
    assert_eq!(files.rename_at(root, "f", inner, "x"), Err(Error::NoEntry));
    assert_eq!(files.stat_at(inner, true, "../.."), Err(Error::NoEntry));
    assert_eq!(files.next_entry(listing), Ok(None));
    assert_eq!(files.stat(inner).expect("open").links, 0);
    files
        .set_times(inner, NewTime::Now, NewTime::Keep)
        .expect("set");
    files.close(inner).expect("closed");
    assert_eq!(files.used_files(), 2, "the listing holds it");
    files.close_listing(listing).expect("closed");
    files.close(file).expect("closed");
    assert_eq!(files.used_files(), 1);
}

#[test]
fn limits_out_of_range_name_the_range() {
    let error = Limits::default()
        .with_max_files(65_537)
        .expect_err("too many");
    assert_eq!(
        error.to_string(),
        "`max_files` is 65537; set it to a number from 1 to 65536"
    );
    assert!(Limits::default().with_max_open(0).is_err());
    assert!(
        Limits::default()
            .with_max_file_bytes((4 << 30) + 1)
            .is_err()
    );
    assert!(Limits::default().with_max_file_bytes(0).is_ok());
}
