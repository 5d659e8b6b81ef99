//! What a program changed.

mod support;

use std::io::Read;

use eryx_files::{
    Change, ChangeKind, Descriptor, Entry, FileSystem, Layout, Limits, OpenFlags, Snapshot,
    Timestamp,
};

use support::{CREATE, start_with};

fn start() -> (FileSystem, Descriptor) {
    let layout = Layout::builder(Timestamp::default())
        .file("/data/a", &b"a"[..])
        .and_then(|layout| layout.file("/data/b", &b"b"[..]))
        .and_then(|layout| layout.file("/data/deep/er/c", &b"c"[..]))
        .and_then(|layout| layout.directory("/tmp"))
        .expect("a layout")
        .build();
    start_with(&layout, Limits::default())
}

fn write(files: &mut FileSystem, root: Descriptor, path: &str, content: &[u8]) {
    let truncate = OpenFlags {
        truncate: true,
        ..CREATE
    };
    let file = files.open_at(root, path, truncate).expect("a file");
    assert_eq!(files.write(file, 0, content), Ok(content.len()));
    files.close(file).expect("closed");
}

/// Returns a line for each change: `+` for created, `~` for modified, `-` for removed.
fn changes(now: &Snapshot, start: &Snapshot) -> Vec<String> {
    let line = |Change { path, kind }| match kind {
        ChangeKind::Created(entry) => format!("+{path}{}", describe(&entry)),
        ChangeKind::Modified(entry) => format!("~{path}{}", describe(&entry)),
        ChangeKind::Removed => format!("-{path}"),
        other => panic!("{other:?}"),
    };
    now.changes_since(start).map(line).collect()
}

fn describe(entry: &Entry) -> String {
    match entry {
        Entry::Directory => "/".to_owned(),
        Entry::File(content) => {
            let mut text = String::new();
            content.reader().read_to_string(&mut text).expect("text");
            assert_eq!(text.len() as u64, content.size());
            format!(" = {text}")
        }
        Entry::Symlink(target) => format!(" -> {target}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_are_listed_by_path_with_their_content() {
    let (mut files, root) = start();
    let before = files.snapshot();
    assert_eq!(changes(&files.snapshot(), &before), [""; 0]);
    write(&mut files, root, "tmp/new", b"new");
    write(&mut files, root, "data/a", b"A");
    files.unlink_file_at(root, "data/b").expect("removed");
    files
        .symlink_at("/etc/passwd", root, "tmp/link")
        .expect("created");
    files.create_directory_at(root, "out").expect("created");
    write(&mut files, root, "out/x", b"x");
    let now = files.snapshot();
    let expected = [
        "~/data/a = A",
        "-/data/b",
        "+/out/",
        "+/out/x = x",
        "+/tmp/link -> /etc/passwd",
        "+/tmp/new = new",
    ];
    assert_eq!(changes(&now, &before), expected);
    assert_eq!(changes(&now, &now), [""; 0]);
    // The other way round.
    let expected = [
        "~/data/a = a",
        "+/data/b = b",
        "-/out",
        "-/tmp/link",
        "-/tmp/new",
    ];
    assert_eq!(changes(&before, &now), expected);
    assert!(matches!(now.get("/out"), Some(Entry::Directory)));
    assert!(matches!(now.get("out/x"), Some(Entry::File(content)) if content.size() == 1));
    for missing in ["/data/b", "/out/x/y", "/tmp/link/x", "/out/.."] {
        assert!(now.get(missing).is_none(), "{missing}");
    }
}

#[test]
fn files_that_are_only_opened_renamed_or_touched_are_not_modified() {
    let (mut files, root) = start();
    let before = files.snapshot();
    let file = files.open_at(root, "data/a", CREATE).expect("a file");
    assert_eq!(files.write(file, 0, b""), Ok(0));
    files.set_size(file, 1).expect("set");
    let now = eryx_files::NewTime::Now;
    files.set_times(file, now, now).expect("set");
    files.create_directory_at(root, "data/x").expect("created");
    files.remove_directory_at(root, "data/x").expect("removed");
    assert_eq!(changes(&files.snapshot(), &before), [""; 0]);
    // A rename is a new and a removed path, also of what a directory contains.
    files
        .rename_at(root, "data/deep", root, "tmp/moved")
        .expect("renamed");
    let expected = [
        "-/data/deep",
        "+/tmp/moved/",
        "+/tmp/moved/er/",
        "+/tmp/moved/er/c = c",
    ];
    assert_eq!(changes(&files.snapshot(), &before), expected);
    files
        .rename_at(root, "tmp/moved", root, "data/deep")
        .expect("renamed");
    assert_eq!(changes(&files.snapshot(), &before), [""; 0]);
    // As programs replace a file in one step.
    write(&mut files, root, "tmp/a", b"A");
    files
        .rename_at(root, "tmp/a", root, "data/a")
        .expect("renamed");
    assert_eq!(changes(&files.snapshot(), &before), ["~/data/a = A"]);
    // Another type.
    files.unlink_file_at(root, "data/b").expect("removed");
    files.create_directory_at(root, "data/b").expect("created");
    write(&mut files, root, "data/b/x", b"x");
    let expected = ["~/data/a = A", "+/data/b/", "+/data/b/x = x"];
    assert_eq!(changes(&files.snapshot(), &before), expected);
}

#[test]
fn a_snapshot_keeps_what_is_changed_later() {
    let (mut files, root) = start();
    let content = vec![b'x'; 200_000];
    write(&mut files, root, "tmp/f", &content);
    let before = files.snapshot();
    let file = files.open_at(root, "tmp/f", CREATE).expect("a file");
    assert_eq!(files.write(file, 100_000, b"yyy"), Ok(3));
    files.set_size(file, 150_000).expect("set");
    files.unlink_file_at(root, "tmp/f").expect("removed");
    files.close(file).expect("closed");
    let Some(Entry::File(kept)) = before.get("/tmp/f") else {
        panic!("the file is in the snapshot");
    };
    let mut read = Vec::new();
    kept.reader().read_to_end(&mut read).expect("read");
    assert!(read == content);
}
