//! Operations of a program on its files.

use std::io::Read;

use eryx_files::{
    Change, ChangeKind, Descriptor, Entry, Error, FileSystem, FileType, LayerBuilder, Layout,
    Limits, Listing, Mount, NewTime, OpenFlags, Timestamp,
};

use crate::operations::Script;

/// Small limits, so that scripts reach them.
const MAX_BYTES: u64 = 200_000;
const MAX_FILES: usize = 12;
const MAX_OPEN: usize = 6;

/// No operation panics or exceeds a limit, what counts is what exists, and nothing is left when all
/// is removed.
pub fn operations(input: &[u8]) {
    let mut script = Script::new(input);
    let layout = layout();
    let limits = limits().expect("in range");
    let mut program = Program::new(layout.start(limits, Timestamp::default));
    let start = program.files.snapshot();
    while program.step(&mut script).is_some() {
        let files = &program.files;
        assert!(files.used_bytes() <= MAX_BYTES && files.used_files() <= MAX_FILES);
        assert!(files.open_count() <= MAX_OPEN);
    }
    program.close_all();
    let used = (program.files.used_bytes(), program.files.used_files());
    let fork = program.files.fork();
    assert_eq!((fork.used_bytes(), fork.used_files()), used);
    let end = program.files.snapshot();
    for Change { path, kind } in end.changes_since(&start) {
        assert!(path.len() <= Limits::MAX_PATH && path.starts_with('/'));
        assert!(!path.split('/').any(|name| matches!(name, "." | "..")));
        match (end.get(&path), kind) {
            (None, ChangeKind::Removed) => {}
            (Some(entry), ChangeKind::Created(_) | ChangeKind::Modified(_)) => read(&entry),
            (found, kind) => panic!("{path:?} is {kind:?} and {found:?}"),
        }
    }
    program.remove_all(".");
    let files = &program.files;
    assert_eq!((files.used_bytes(), files.used_files()), (0, 0));
}

fn limits() -> Result<Limits, eryx_files::LimitsError> {
    Limits::default()
        .with_max_file_bytes(MAX_BYTES)?
        .with_max_files(MAX_FILES)?
        .with_max_open(MAX_OPEN)
}

fn layout() -> Layout {
    let mut packages = LayerBuilder::new(Timestamp::default(), 10);
    packages.file("a/b", &b"package"[..]).expect("a file");
    Layout::builder(Timestamp::default())
        .file("/a", vec![7; 70_000])
        .and_then(|layout| layout.file("/b/a", &b"content"[..]))
        .and_then(|layout| layout.mount("/c", Mount::Layer(packages.build())))
        .expect("a layout")
        .build()
}

/// Reads a file to its end.
fn read(entry: &Entry) {
    if let Entry::File(content) = entry {
        let mut bytes = Vec::new();
        content.reader().read_to_end(&mut bytes).expect("in memory");
        assert_eq!(bytes.len() as u64, content.size());
    }
}

struct Program {
    files: FileSystem,
    open: Vec<Descriptor>,
    listings: Vec<Listing>,
}

impl Program {
    fn new(mut files: FileSystem) -> Self {
        let root = files.open_root().expect("the root");
        Self {
            files,
            open: vec![root],
            listings: Vec::new(),
        }
    }

    /// Makes the next operation of the script. Returns `None` at its end.
    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        let operation = script.byte()?;
        let choice = script.byte()?;
        let one = self.open[usize::from(choice & 7) % self.open.len()];
        let two = self.open[usize::from(choice >> 3 & 7) % self.open.len()];
        let follow = choice >= 128;
        let files = &mut self.files;
        match operation % 20 {
            0 => ignore(files.create_directory_at(one, &script.text()?)),
            1 => ignore(files.symlink_at(&script.text()?, one, &script.text()?)),
            2 => ignore(files.link_at(one, follow, &script.text()?, two, &script.text()?)),
            3 | 4 => ignore(files.rename_at(one, &script.text()?, two, &script.text()?)),
            5 => ignore(files.unlink_file_at(one, &script.text()?)),
            6 => ignore(files.remove_directory_at(one, &script.text()?)),
            7 => ignore(files.readlink_at(one, &script.text()?)),
            8 => ignore(files.stat_at(one, follow, &script.text()?)),
            9..=11 => {
                let flags = flags(script.byte()?);
                let opened = files.open_at(one, &script.text()?, flags);
                self.open.extend(opened);
            }
            12 if self.open.len() > 1 => {
                self.open.retain(|open| *open != one);
                files.close(one).expect("it is open");
                if self.open.is_empty() {
                    self.open.push(files.open_root().expect("it was closed"));
                }
            }
            13 => {
                let (offset, length) = (script.number()?, script.number()?);
                if let Ok(bytes) = files.read(one, offset, length) {
                    assert!(bytes.len() as u64 <= length && bytes.len() <= Limits::MAX_TRANSFER);
                }
            }
            14 => {
                let offset = script.number()?;
                let data = vec![choice; usize::from(script.byte()?) * 300];
                let room = files.room(one, Some(offset), data.len());
                assert_eq!(files.write(one, offset, &data), room);
            }
            15 => {
                let data = vec![choice; usize::from(script.byte()?) * 300];
                let room = files.room(one, None, data.len());
                assert_eq!(files.append(one, &data), room);
            }
            16 => ignore(files.set_size(one, script.number()?)),
            17 => {
                let time = Timestamp::from_seconds(script.number()?);
                ignore(files.set_times(one, NewTime::At(time), NewTime::Keep));
            }
            18 => self.listings.extend(files.list(one)),
            _ => {
                if let Some(listing) = self.listings.pop() {
                    match files.next_entry(listing).expect("it is open") {
                        Some(_) => self.listings.push(listing),
                        None => files.close_listing(listing).expect("it is open"),
                    }
                }
            }
        }
        Some(())
    }

    /// Closes all but a new descriptor of the root.
    fn close_all(&mut self) {
        for listing in self.listings.drain(..) {
            self.files.close_listing(listing).expect("it is open");
        }
        for open in self.open.drain(..) {
            self.files.close(open).expect("it is open");
        }
        let root = self.files.open_root().expect("all is closed");
        self.open.push(root);
    }

    /// Removes what a directory contains, except for mounts.
    fn remove_all(&mut self, directory: &str) {
        let root = self.open[0];
        let opened = self.files.open_at(root, directory, OpenFlags::default());
        let opened = opened.expect("a directory");
        let listing = self.files.list(opened).expect("a directory");
        self.files.close(opened).expect("it is open");
        let mut entries = Vec::new();
        while let Some(entry) = self.files.next_entry(listing).expect("listed") {
            entries.push(entry);
        }
        self.files.close_listing(listing).expect("it is open");
        for (name, file_type) in entries {
            let path = match directory {
                "." => name.to_string(),
                directory => format!("{directory}/{name}"),
            };
            match file_type {
                FileType::Directory if path == "c" => {}
                FileType::Directory => {
                    self.remove_all(&path);
                    let removed = self.files.remove_directory_at(root, &path);
                    removed.expect("it is empty");
                }
                _ => self.files.unlink_file_at(root, &path).expect("removed"),
            }
        }
    }
}

/// An error is as good as success here.
fn ignore<T>(_: Result<T, Error>) {}

fn flags(bits: u8) -> OpenFlags {
    let bit = |at: u8| bits >> at & 1 == 1;
    OpenFlags {
        follow: bit(0),
        create: bit(1),
        exclusive: bit(2),
        directory: bit(3),
        truncate: bit(4),
        read: bit(5),
        write: bit(6),
    }
}
