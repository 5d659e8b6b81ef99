//! Content that the embedder provides: deferred, from a file of the machine, and in extended
//! layouts.

mod support;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;

use bytes::Bytes;
use eryx_files::{
    Change, ChangeKind, Deferred, Descriptor, Entry, Error, FileContent, FileSystem, Layout,
    LayoutError, Limits, Loading, MachineFile, OpenFlags, Snapshot, Timestamp, save_changes,
};

use support::{READ, start_with};

const WRITE: OpenFlags = OpenFlags {
    write: true,
    ..READ
};

fn start(layout: &Layout) -> (FileSystem, Descriptor) {
    let limits = Limits::default().with_max_file_bytes(100_000);
    start_with(layout, limits.expect("a limit"))
}

/// Returns a layout with the deferred file `/data/d`, and the number of calls of its function.
fn deferred(
    size: Option<u64>,
    content: impl Fn() -> io::Result<Bytes> + Send + Sync + 'static,
) -> (Layout, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let provided = Deferred::new(size, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        content()
    });
    let layout = Layout::builder(Timestamp::default()).deferred("/data/d", Arc::new(provided));
    (layout.expect("a layout").build(), calls)
}

fn read(files: &mut FileSystem, root: Descriptor, path: &str) -> Result<Bytes, Error> {
    let file = files.open_at(root, path, READ)?;
    let read = files.read(file, 0, u64::MAX);
    files.close(file).expect("open");
    read
}

#[test]
fn deferred_content_is_loaded_once_when_it_is_first_read() {
    for size in [None, Some(5)] {
        let (layout, calls) = deferred(size, || Ok(Bytes::from_static(b"hello")));
        let (mut files, root) = start(&layout);
        let (mut other, other_root) = start(&layout);
        let size_of = |files: &FileSystem| files.stat_at(root, true, "data/d").expect("it").size;
        assert_eq!(size_of(&files), size.unwrap_or(0));
        let unloaded = |files: &FileSystem, reads| files.unloaded_at(root, true, "data/d", reads);
        assert_eq!(unloaded(&files, false).is_some(), size.is_none());
        assert!(unloaded(&files, true).is_some());
        for path in ["data", "data/missing", "..", "data/d/x"] {
            assert!(
                files.unloaded_at(root, true, path, true).is_none(),
                "{path}"
            );
        }
        // Neither a link nor a new name needs the content.
        files.symlink_at("/data/d", root, "link").expect("created");
        files
            .link_at(root, false, "data/d", root, "name")
            .expect("linked");
        assert!(files.unloaded_at(root, true, "link", true).is_some());
        assert!(files.unloaded_at(root, false, "link", true).is_none());
        assert_eq!(calls.load(Ordering::Relaxed), 0);

        assert_eq!(read(&mut files, root, "link").expect("read"), "hello");
        assert!(unloaded(&files, true).is_none());
        assert_eq!((size_of(&files), size_of(&other)), (5, 5));
        assert_eq!(
            read(&mut other, other_root, "data/d").expect("read"),
            "hello"
        );
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn deferred_content_counts_as_other_content_of_the_layout_when_it_is_changed() {
    let (layout, calls) = deferred(None, || Ok(Bytes::from_static(b"hello")));
    let (mut files, root) = start(&layout);
    let before = files.snapshot();
    let file = files.open_at(root, "data/d", WRITE).expect("opened");
    assert_eq!(files.used_bytes(), 0);
    assert_eq!(files.room(file, None, 10), Ok(10));
    assert_eq!(files.append(file, b" you"), Ok(4));
    assert_eq!(files.used_bytes(), 9);
    assert_eq!(read(&mut files, root, "data/d").expect("read"), "hello you");
    let changes: Vec<_> = paths(&files.snapshot(), &before);
    assert_eq!(changes, ["~/data/d"]);
    files.unlink_file_at(root, "data/d").expect("removed");
    files.close(file).expect("open");
    assert_eq!((files.used_bytes(), calls.load(Ordering::Relaxed)), (0, 1));

    // What is replaced is not loaded.
    let (layout, calls) = deferred(None, || Ok(Bytes::from_static(b"hello")));
    let (mut files, root) = start(&layout);
    let truncate = OpenFlags {
        truncate: true,
        ..WRITE
    };
    let file = files.open_at(root, "data/d", truncate).expect("opened");
    assert_eq!(files.write(file, 0, b"mine"), Ok(4));
    assert_eq!(read(&mut files, root, "data/d").expect("read"), "mine");
    assert_eq!((files.used_bytes(), calls.load(Ordering::Relaxed)), (4, 0));
}

#[test]
fn a_failure_to_provide_content_is_an_error_of_each_read_and_final() {
    let fails = || Err(io::Error::other("no connection"));
    let too_short = || Ok(Bytes::from_static(b"four"));
    let cases = [
        deferred(None, fails),
        deferred(Some(5), fails),
        deferred(Some(5), too_short),
    ];
    for (layout, calls) in cases {
        let (mut files, root) = start(&layout);
        for _ in 0..2 {
            assert_eq!(read(&mut files, root, "data/d"), Err(Error::Io));
            let unloaded = files.unloaded_at(root, true, "data/d", true);
            assert!(unloaded.is_some_and(|content| content.is_loaded()));
        }
        let file = files.open_at(root, "data/d", WRITE).expect("opened");
        assert_eq!(files.write(file, 0, b"x"), Err(Error::Io));
        assert_eq!(files.set_size(file, 1), Err(Error::Io));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        // The program can put its own content there.
        assert_eq!(files.set_size(file, 0), Ok(()));
        assert_eq!(files.write(file, 0, b"x"), Ok(1));
        assert_eq!(read(&mut files, root, "data/d").expect("read"), "x");
    }
}

#[test]
fn deferred_content_that_its_own_function_needs_is_refused_and_then_loaded() {
    type Content = Arc<OnceLock<Arc<Deferred>>>;
    let contents: [Content; 3] = Default::default();
    let load = |index: usize| contents[index].get().expect("set").load();
    let inner = |index: usize| {
        let content = Arc::clone(&contents[index]);
        move || content.get().expect("set").load().cloned()
    };
    let set = |index: usize, deferred: Deferred| {
        contents[index].set(Arc::new(deferred)).expect("set once");
    };
    let text = |loaded: Result<Bytes, Error>| match loaded {
        Ok(content) => Ok(content),
        Err(error) => Ok(format!("{error:?}").into()),
    };
    let itself = inner(0);
    set(0, Deferred::new(None, move || text(itself())));
    assert_eq!(load(0), Ok(&Bytes::from_static(b"Deadlock")));
    // Two that need each other, and the second one does so on another thread.
    let (second, first) = (inner(2), inner(1));
    set(1, Deferred::new(None, move || text(second())));
    let on_thread = move || {
        let loading = Loading::current();
        thread::scope(|scope| {
            let thread = scope.spawn(|| loading.run(&first));
            text(thread.join().expect("no panic"))
        })
    };
    set(2, Deferred::new(None, on_thread));
    assert_eq!(load(1), Ok(&Bytes::from_static(b"Deadlock")));
    assert_eq!(load(2), Ok(&Bytes::from_static(b"Deadlock")));
    assert!(Loading::current().is_empty());
}

/// Regression: each waited for the other one for ever.
#[test]
fn deferred_contents_that_need_each_other_and_are_loaded_at_the_same_time_do_not_wait() {
    let contents: Arc<OnceLock<[Deferred; 2]>> = Arc::default();
    let both_began = Arc::new(Barrier::new(2));
    let needing = |index: usize| {
        let (contents, both_began) = (Arc::clone(&contents), Arc::clone(&both_began));
        Deferred::new(None, move || {
            both_began.wait();
            match contents.get().expect("set")[index].load() {
                Ok(content) => Ok([&content[..], b", needed"].concat().into()),
                Err(error) => Ok(format!("{error:?}").into()),
            }
        })
    };
    contents.set([needing(1), needing(0)]).expect("set once");
    let contents = contents.get().expect("set");
    let mut loaded = thread::scope(|scope| {
        contents
            .each_ref()
            .map(|content| scope.spawn(|| content.load().cloned()))
            .map(|thread| thread.join().expect("no panic").expect("loaded"))
    });
    loaded.sort();
    assert_eq!(loaded, [&b"Deadlock"[..], b"Deadlock, needed"]);
}

#[test]
fn deferred_content_is_begun_where_it_is_needed_and_provided_where_it_is_loaded() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let content = Deferred::in_two_steps(None, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let needed = thread::current().id();
        Box::new(move || {
            assert_ne!(needed, thread::current().id());
            Ok(Bytes::from_static(b"content"))
        })
    });
    let content = Arc::new(content);
    let load = content.begin_load();
    assert_eq!(
        (begun.load(Ordering::Relaxed), content.is_loaded()),
        (1, false)
    );
    thread::spawn(load)
        .join()
        .expect("no panic")
        .expect("loaded");
    assert_eq!(content.load(), Ok(&Bytes::from_static(b"content")));
}

#[test]
fn deferred_content_that_is_only_loaded_is_not_a_change_and_renamed_is_loaded_by_the_reader() {
    let (layout, calls) = deferred(None, || Ok(Bytes::from_static(b"hello")));
    let (mut files, root) = start(&layout);
    let before = files.snapshot();
    files
        .rename_at(root, "data/d", root, "renamed")
        .expect("renamed");
    let now = files.snapshot();
    assert_eq!(paths(&now, &before), ["-/data/d", "+/renamed"]);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let Some(Entry::File(content)) = now.get("/renamed") else {
        panic!("the file is there");
    };
    assert!(!content.is_loaded());
    assert_eq!((content.size(), calls.load(Ordering::Relaxed)), (5, 1));
    assert!(content.is_loaded());
    assert_eq!(content.read(1, 10).expect("read"), "ello");
    files
        .rename_at(root, "renamed", root, "data/d")
        .expect("renamed");
    read(&mut files, root, "data/d").expect("read");
    assert_eq!(paths(&files.snapshot(), &before), [""; 0]);
}

#[test]
fn what_replaces_deferred_content_is_a_change_also_if_neither_was_read() {
    let fails = || Err(io::Error::other("no connection"));
    let hello = || Ok(Bytes::from_static(b"hello"));
    for (layout, calls) in [deferred(None, hello), deferred(None, fails)] {
        let (mut files, root) = start(&layout);
        let before = files.snapshot();
        let truncate = OpenFlags {
            truncate: true,
            ..WRITE
        };
        let file = files.open_at(root, "data/d", truncate).expect("opened");
        files.close(file).expect("open");
        assert_eq!(paths(&files.snapshot(), &before), ["~/data/d"]);

        let (mut files, root) = start(&layout);
        files.unlink_file_at(root, "data/d").expect("removed");
        let create = OpenFlags {
            create: true,
            ..WRITE
        };
        let file = files.open_at(root, "data/d", create).expect("created");
        files.close(file).expect("open");
        assert_eq!(paths(&files.snapshot(), &before), ["~/data/d"]);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
    }

    // Two files change places.
    let provided =
        |text: &'static [u8]| Arc::new(Deferred::new(None, move || Ok(Bytes::from_static(text))));
    let layout = Layout::builder(Timestamp::default())
        .deferred("/a", provided(b"a"))
        .and_then(|layout| layout.deferred("/b", provided(b"b")))
        .expect("a layout")
        .build();
    let (mut files, root) = start(&layout);
    let before = files.snapshot();
    for (from, to) in [("a", "c"), ("b", "a"), ("c", "b")] {
        files.rename_at(root, from, root, to).expect("renamed");
    }
    assert_eq!(paths(&files.snapshot(), &before), ["~/a", "~/b"]);
}

fn paths(now: &Snapshot, before: &Snapshot) -> Vec<String> {
    let changes = now.changes_since(before).map(|change| {
        // Both ways to ask agree.
        let kind = now.change_since(before, &change.path);
        assert_eq!(kind.as_ref(), Some(&change.kind), "{}", change.path);
        let sign = match change.kind {
            ChangeKind::Created(_) => '+',
            ChangeKind::Modified(_) => '~',
            ChangeKind::Removed => '-',
            other => panic!("{other:?}"),
        };
        format!("{sign}{}", change.path)
    });
    changes.collect()
}

#[test]
fn the_change_of_one_path_is_found_without_those_of_others() {
    let layout = Layout::builder(Timestamp::default())
        .file("/data/a", &b"a"[..])
        .and_then(|layout| layout.file("/gone/deep/b", &b"b"[..]))
        .expect("a layout")
        .build();
    let (mut files, root) = start(&layout);
    let before = files.snapshot();
    assert_eq!(before.change_since(&before, "/data/a"), None);
    files.unlink_file_at(root, "gone/deep/b").expect("removed");
    for directory in ["gone/deep", "gone"] {
        files.remove_directory_at(root, directory).expect("removed");
    }
    let now = files.snapshot();
    assert_eq!(
        now.change_since(&before, "/gone"),
        Some(ChangeKind::Removed)
    );
    // As in the list: only the topmost directory is named.
    assert_eq!(paths(&now, &before), ["-/gone"]);
    for path in [
        "/gone/deep",
        "/gone/deep/b",
        "/data/a",
        "/data",
        "/",
        "",
        "/no",
        "/../data",
    ] {
        assert_eq!(now.change_since(&before, path), None, "{path}");
    }
    // A file became a directory, and equal bytes that were written again are a change.
    files.unlink_file_at(root, "data/a").expect("removed");
    files.create_directory_at(root, "data/a").expect("created");
    let kind = files.snapshot().change_since(&before, "/data/a");
    assert_eq!(kind, Some(ChangeKind::Created(Entry::Directory)));
}

#[test]
fn contents_are_equal_if_their_bytes_are() {
    let content = |bytes: &'static [u8]| FileContent::from(Bytes::from_static(bytes));
    assert_eq!(
        content(b"abc"),
        FileContent::from(Bytes::from(b"abc".to_vec()))
    );
    assert_ne!(content(b"abc"), content(b"abd"));
    assert_ne!(content(b"abc"), content(b"abcd"));
    let large = |last: u8| {
        let mut bytes = vec![1; 3 * Limits::MAX_TRANSFER];
        bytes.push(last);
        FileContent::from(Bytes::from(bytes))
    };
    assert_eq!(large(1), large(1));
    assert_ne!(large(1), large(2));
    // One that cannot be read equals itself alone.
    for size in [None, Some(1)] {
        let first = broken(size);
        assert_eq!(first, first.clone());
        assert_ne!(first, broken(size));
        assert_ne!(first, content(b""));
    }
}

/// Returns content whose function fails.
fn broken(size: Option<u64>) -> FileContent {
    let (layout, _) = deferred(size, || Err(io::Error::other("broken")));
    let (files, _) = start(&layout);
    match files.snapshot().get("/data/d") {
        Some(Entry::File(content)) => content,
        other => panic!("{other:?}"),
    }
}

#[test]
fn snapshots_cost_nothing_and_later_changes_do_not_reach_them() {
    let (layout, _) = deferred(None, || Ok(Bytes::new()));
    let (mut files, root) = start(&layout);
    let mut snapshots = vec![files.snapshot()];
    for number in 0..20 {
        files
            .create_directory_at(root, &format!("d{number}"))
            .expect("created");
        snapshots.push(files.snapshot());
    }
    for (number, snapshot) in snapshots.iter().enumerate() {
        assert_eq!(paths(snapshot, &snapshots[0]).len(), number);
        assert_eq!(paths(snapshot, snapshot).len(), 0);
    }
    let nothing = Snapshot::default();
    assert_eq!(paths(&nothing, &Snapshot::default()), [""; 0]);
}

#[test]
fn an_extended_layout_has_more_files_and_leaves_the_first_as_it_was() {
    let time = Timestamp::from_seconds(5);
    let first = Layout::builder(time)
        .file("/data/a", &b"a"[..])
        .expect("a layout")
        .build();
    let extended = first
        .extend(time)
        .file("/data/b", &b"b"[..])
        .expect("a file")
        .build();
    assert!(first.is_same(&first.clone()) && !first.is_same(&extended));
    let (mut files, root) = start(&extended);
    for name in ["a", "b"] {
        let path = format!("data/{name}");
        assert_eq!(read(&mut files, root, &path).expect("read"), name);
    }
    assert_eq!((files.used_files(), files.used_bytes()), (0, 0));
    let (mut files, root) = start(&first);
    assert_eq!(read(&mut files, root, "data/b"), Err(Error::NoEntry));
    let taken = first.extend(time).file("/data/a", &b"c"[..]);
    assert!(matches!(taken, Err(LayoutError::Layer(_))));
}

#[test]
fn a_file_of_the_machine_is_read_when_the_program_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("big");
    std::fs::write(&path, vec![b'x'; 300_000]).expect("written");
    let content = Arc::new(MachineFile::open(&path).expect("opened"));
    let layout = Layout::builder(Timestamp::default()).source("/big", content);
    let layout = layout.expect("a layout").build();
    let (mut files, root) = start(&layout);
    let file = files.open_at(root, "big", WRITE).expect("opened");
    assert_eq!(files.stat(file).expect("it").size, 300_000);
    assert_eq!(files.read(file, 299_998, 10).expect("read"), "xx");
    // A write changes the copy of the program.
    assert_eq!(files.write(file, 300_000, b"y"), Ok(1));
    assert_eq!(files.read(file, 299_999, 10).expect("read"), "xy");
    assert_eq!(std::fs::read(&path).expect("read").len(), 300_000);
    // The file has become shorter: an error, and not an end.
    std::fs::write(&path, b"short").expect("written");
    assert_eq!(files.read(file, 0, 5).expect("read"), "short");
    assert_eq!(files.read(file, 10, 5), Err(Error::Io));

    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe");
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    for (path, reason) in [
        (folder.path().join("missing"), "No such file"),
        (folder.path().join("."), "a directory, not a regular file"),
        (pipe, "a pipe, not a regular file"),
        (socket, "a socket, not a regular file"),
        ("/dev/zero".into(), "a device, not a regular file"),
    ] {
        let error = MachineFile::open(&path).expect_err(reason);
        let text = error.to_string();
        assert!(text.starts_with(&format!("the file {path:?} ")), "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_of_the_machine_with_another_size_than_the_kernel_says_is_read_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, b"").expect("written");
    // The kernel says 0 bytes, and one page.
    for path in [
        Path::new("/proc/version"),
        Path::new("/sys/kernel/mm/transparent_hugepage/enabled"),
        &empty,
    ] {
        let Ok(expected) = std::fs::read(path) else {
            // The machine has no such file.
            continue;
        };
        let content = Arc::new(MachineFile::open(path).expect("opened"));
        let layout = Layout::builder(Timestamp::default()).source("/f", content);
        let (mut files, root) = start(&layout.expect("a layout").build());
        assert_eq!(read(&mut files, root, "f").expect("read"), expected);
        let file = files.open_at(root, "f", READ).expect("opened");
        assert_eq!(files.stat(file).expect("it").size, expected.len() as u64);
    }
}

#[test]
fn changes_with_paths_that_leave_the_folder_are_not_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("created");
    for path in [
        "/../x",
        "/a/../../x",
        "/./x",
        "/a/..",
        "/..",
        "/a\0b",
        "/",
        "x",
    ] {
        for entry in [
            Entry::File(FileContent::from(Bytes::from_static(b"x"))),
            Entry::Directory,
        ] {
            if matches!((path, &entry), ("/" | "x", Entry::Directory)) {
                continue;
            }
            let change = Change {
                path: path.to_owned(),
                kind: ChangeKind::Created(entry),
            };
            let saved = save_changes([change].into_iter(), &inner);
            assert!(saved.is_err(), "{path:?}");
        }
    }
    let outside = std::fs::read_dir(folder.path()).expect("read").count();
    assert_eq!(outside, 1);
}
