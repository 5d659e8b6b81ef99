//! The same operations in memory and on the file system of this machine give the same results.

use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use eryx_files::{Descriptor, Error, FileSystem, FileType, Layout, Limits, OpenFlags, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rustix::fs::{self, AtFlags, CWD, Dir, FileType as SystemFileType, Mode, OFlags};
use rustix::io::Errno;

/// How deep the directory lies in which the operations start. Each link and each path lead up by a
/// few directories at most, and no path follows more than 40 links: none leads out of the temporary
/// directory.
const DEPTH: usize = 45;

/// The most files that are open at a time.
const SLOTS: usize = 3;

#[derive(Clone, Debug)]
enum Operation {
    CreateDirectory(String),
    RemoveDirectory(String),
    Unlink(String),
    Rename(String, String),
    Link(bool, String, String),
    Symlink(String, String),
    ReadLink(String),
    Stat(bool, String),
    List(String),
    Open(usize, String, OpenFlags),
    Read(usize, u64, u64),
    Write(usize, u64, Vec<u8>),
    Append(usize, Vec<u8>),
    SetSize(usize, u64),
    StatOpen(usize),
    Close(usize),
}

/// What an operation returns.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Nothing,
    Error(Error),
    Text(String),
    Stat(FileType, u64, u64),
    Names(Vec<(String, FileType)>),
    Bytes(Vec<u8>),
    Written(usize),
}

impl<E: Into<Error>> From<Result<Outcome, E>> for Outcome {
    fn from(result: Result<Outcome, E>) -> Self {
        result.unwrap_or_else(|error| Self::Error(error.into()))
    }
}

/// The error that the machine returned, or none if no operation in memory may return it.
struct MachineFileError(Errno);

impl From<MachineFileError> for Error {
    fn from(MachineFileError(errno): MachineFileError) -> Self {
        match errno {
            Errno::BADF => Self::BadDescriptor,
            Errno::BUSY => Self::Busy,
            Errno::EXIST => Self::Exists,
            Errno::INVAL => Self::Invalid,
            Errno::ISDIR => Self::IsADirectory,
            Errno::LOOP => Self::Loop,
            Errno::NOENT => Self::NoEntry,
            Errno::NOTDIR => Self::NotADirectory,
            Errno::NOTEMPTY => Self::NotEmpty,
            Errno::PERM => Self::NotPermitted,
            other => panic!("the machine returns {other}"),
        }
    }
}

impl From<Errno> for MachineFileError {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

struct Memory {
    files: FileSystem,
    start: Descriptor,
    open: [Option<Descriptor>; SLOTS],
}

impl Memory {
    fn new() -> Self {
        let path = "w/".repeat(DEPTH);
        let layout = Layout::builder(Timestamp::default()).directory(&path);
        let layout = layout.expect("a directory").build();
        let mut files = layout.start(Limits::default(), Timestamp::default);
        let root = files.open_root().expect("the root");
        let start = files.open_at(root, &path, OpenFlags::default());
        Self {
            start: start.expect("the directory"),
            files,
            open: [None; SLOTS],
        }
    }

    fn apply(&mut self, operation: &Operation) -> Result<Outcome, Error> {
        let start = self.start;
        let files = &mut self.files;
        match operation {
            Operation::CreateDirectory(path) => files.create_directory_at(start, path)?,
            Operation::RemoveDirectory(path) => files.remove_directory_at(start, path)?,
            Operation::Unlink(path) => files.unlink_file_at(start, path)?,
            Operation::Rename(old, new) => files.rename_at(start, old, start, new)?,
            Operation::Link(follow, old, new) => files.link_at(start, *follow, old, start, new)?,
            Operation::Symlink(target, path) => files.symlink_at(target, start, path)?,
            Operation::ReadLink(path) => {
                return files.readlink_at(start, path).map(Outcome::Text);
            }
            Operation::Stat(follow, path) => {
                let stat = files.stat_at(start, *follow, path)?;
                return Ok(outcome_of_stat(stat.file_type, stat.size, stat.links));
            }
            Operation::List(path) => {
                let flags = OpenFlags {
                    follow: true,
                    read: true,
                    ..OpenFlags::default()
                };
                let directory = files.open_at(start, path, flags)?;
                let listing = files.list(directory);
                files.close(directory).expect("open");
                let listing = listing?;
                let mut names = Vec::new();
                while let Some((name, file_type)) = files.next_entry(listing)? {
                    names.push((name.to_string(), file_type));
                }
                files.close_listing(listing).expect("open");
                return Ok(Outcome::Names(names));
            }
            Operation::Open(slot, path, flags) => {
                self.close(*slot);
                self.open[*slot] = Some(self.files.open_at(start, path, *flags)?);
            }
            Operation::Read(slot, offset, length) => {
                if let Some(open) = self.open[*slot] {
                    let mut bytes = Vec::new();
                    // One call reads at most `MAX_TRANSFER`.
                    loop {
                        let done = bytes.len() as u64;
                        let read = files.read(open, *offset + done, *length - done)?;
                        bytes.extend_from_slice(&read);
                        if read.is_empty() {
                            return Ok(Outcome::Bytes(bytes));
                        }
                    }
                }
            }
            Operation::Write(slot, offset, data) => {
                if let Some(open) = self.open[*slot] {
                    return files.write(open, *offset, data).map(Outcome::Written);
                }
            }
            Operation::Append(slot, data) => {
                if let Some(open) = self.open[*slot] {
                    return files.append(open, data).map(Outcome::Written);
                }
            }
            Operation::SetSize(slot, size) => {
                if let Some(open) = self.open[*slot] {
                    files.set_size(open, *size)?;
                }
            }
            Operation::StatOpen(slot) => {
                if let Some(open) = self.open[*slot] {
                    let stat = files.stat(open)?;
                    return Ok(outcome_of_stat(stat.file_type, stat.size, stat.links));
                }
            }
            Operation::Close(slot) => self.close(*slot),
        }
        Ok(Outcome::Nothing)
    }

    fn close(&mut self, slot: usize) {
        if let Some(open) = self.open[slot].take() {
            self.files.close(open).expect("open");
        }
    }
}

struct Machine {
    start: PathBuf,
    open: [Option<OwnedFd>; SLOTS],
}

impl Machine {
    fn new(temporary: &Path) -> Self {
        let start = temporary.join("w/".repeat(DEPTH));
        std::fs::create_dir_all(&start).expect("directories");
        Self {
            start,
            open: [const { None }; SLOTS],
        }
    }

    /// Returns a path below the start. `PathBuf::join` keeps slashes at its end.
    fn at(&self, path: &str) -> PathBuf {
        // The empty path is one that does not exist, and not the start.
        if path.is_empty() {
            PathBuf::new()
        } else {
            self.start.join(path)
        }
    }

    fn apply(&mut self, operation: &Operation) -> Result<Outcome, MachineFileError> {
        match operation {
            Operation::CreateDirectory(path) => {
                fs::mkdir(self.at(path), Mode::from_raw_mode(0o755))?;
            }
            Operation::RemoveDirectory(path) => fs::rmdir(self.at(path))?,
            Operation::Unlink(path) => fs::unlink(self.at(path))?,
            Operation::Rename(old, new) => fs::rename(self.at(old), self.at(new))?,
            Operation::Link(follow, old, new) => {
                let flags = if *follow {
                    AtFlags::SYMLINK_FOLLOW
                } else {
                    AtFlags::empty()
                };
                fs::linkat(CWD, self.at(old), CWD, self.at(new), flags)?;
            }
            Operation::Symlink(target, path) => fs::symlink(target.as_str(), self.at(path))?,
            Operation::ReadLink(path) => {
                let target = fs::readlink(self.at(path), Vec::new())?;
                return Ok(Outcome::Text(target.into_string().expect("UTF-8")));
            }
            Operation::Stat(follow, path) => {
                let path = self.at(path);
                let stat = if *follow {
                    fs::stat(path)
                } else {
                    fs::lstat(path)
                };
                return Ok(host_stat(&stat?));
            }
            Operation::List(path) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let directory = fs::open(self.at(path), flags, Mode::empty())?;
                let mut names = Vec::new();
                for entry in Dir::read_from(directory)? {
                    let entry = entry?;
                    let name = entry.file_name().to_str().expect("UTF-8").to_owned();
                    if name != "." && name != ".." {
                        names.push((name, file_type(entry.file_type())));
                    }
                }
                names.sort_by(|(a, _), (b, _)| a.cmp(b));
                return Ok(Outcome::Names(names));
            }
            Operation::Open(slot, path, flags) => {
                self.open[*slot] = None;
                let path = self.at(path);
                self.open[*slot] = Some(fs::open(path, host_flags(*flags), Mode::RWXU)?);
            }
            Operation::Read(slot, offset, length) => {
                if let Some(open) = &self.open[*slot] {
                    let mut buffer = vec![0; *length as usize];
                    let read = rustix::io::pread(open, &mut buffer, *offset)?;
                    buffer.truncate(read);
                    return Ok(Outcome::Bytes(buffer));
                }
            }
            Operation::Write(slot, offset, data) => {
                if let Some(open) = &self.open[*slot] {
                    let written = rustix::io::pwrite(open, data, *offset)?;
                    return Ok(Outcome::Written(written));
                }
            }
            Operation::Append(slot, data) => {
                if let Some(open) = &self.open[*slot] {
                    let end = fs::fstat(open)?.st_size as u64;
                    let written = rustix::io::pwrite(open, data, end)?;
                    return Ok(Outcome::Written(written));
                }
            }
            Operation::SetSize(slot, size) => {
                if let Some(open) = &self.open[*slot] {
                    fs::ftruncate(open, *size)?;
                }
            }
            Operation::StatOpen(slot) => {
                if let Some(open) = &self.open[*slot] {
                    return Ok(host_stat(&fs::fstat(open)?));
                }
            }
            Operation::Close(slot) => self.open[*slot] = None,
        }
        Ok(Outcome::Nothing)
    }
}

fn host_flags(flags: OpenFlags) -> OFlags {
    let mut host = match (flags.read, flags.write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    host.set(OFlags::NOFOLLOW, !flags.follow);
    host.set(OFlags::CREATE, flags.create);
    host.set(OFlags::EXCL, flags.exclusive);
    host.set(OFlags::DIRECTORY, flags.directory);
    host.set(OFlags::TRUNC, flags.truncate);
    host
}

fn file_type(host: SystemFileType) -> FileType {
    match host {
        SystemFileType::Directory => FileType::Directory,
        SystemFileType::RegularFile => FileType::File,
        SystemFileType::Symlink => FileType::Symlink,
        _ => FileType::Other,
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types of the fields differ between platforms"
)]
fn host_stat(stat: &fs::Stat) -> Outcome {
    let file_type = file_type(SystemFileType::from_raw_mode(stat.st_mode));
    outcome_of_stat(file_type, stat.st_size as u64, stat.st_nlink as u64)
}

/// The sizes and link counts of directories differ between file systems, and are left out.
fn outcome_of_stat(file_type: FileType, size: u64, links: u64) -> Outcome {
    match file_type {
        FileType::Directory => Outcome::Stat(file_type, 0, 0),
        _ => Outcome::Stat(file_type, size, links),
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("a"),
        6 => Just("b"),
        4 => Just("c"),
        1 => Just("."),
        2 => Just(".."),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let end = prop_oneof![8 => Just(""), 1 => Just("/"), 1 => Just("//"), 1 => Just("/.")];
    let path = (prop::collection::vec(name(), 1..4), end)
        .prop_map(|(names, end)| format!("{}{end}", names.join("/")));
    prop_oneof![60 => path, 1 => Just(String::new())]
}

/// Returns targets of links, which lead up by at most one directory.
fn target() -> impl Strategy<Value = String> {
    let start = prop_oneof![4 => Just(""), 1 => Just("../"), 1 => Just("./")];
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("a/b"), Just("b/")];
    (start, name).prop_map(|(start, name)| format!("{start}{name}"))
}

fn flags() -> impl Strategy<Value = OpenFlags> {
    let bit = || prop::bool::ANY;
    let flags = (bit(), bit(), bit(), bit(), bit(), bit(), bit());
    flags.prop_map(
        |(follow, create, exclusive, directory, truncate, read, write)| {
            // Kernels and libraries differ in what a directory that is created or emptied means,
            // and in what it means to empty a file that is open for reading. Without any access, a
            // file is open for reading in Linux.
            let directory = directory && !create && !truncate && !write;
            OpenFlags {
                follow,
                create: create && !directory,
                exclusive: exclusive && create,
                directory,
                truncate: truncate && write,
                read: read || !write,
                write,
            }
        },
    )
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_u64,
        65_500..65_600_u64,
        Just(65_536_u64),
        Just(131_072_u64),
        0..300_000_u64
    ]
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![0..10_usize, Just(65_536_usize), 0..200_000_usize];
    (length, 1..=255_u8).prop_map(|(length, first)| {
        let bytes = (0..length).map(|at| first.wrapping_add((at / 7) as u8));
        bytes.collect()
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation as O;
    let slot = || 0..SLOTS;
    prop_oneof![
        4 => path().prop_map(O::CreateDirectory),
        2 => path().prop_map(O::RemoveDirectory),
        2 => path().prop_map(O::Unlink),
        5 => (path(), path()).prop_map(|(old, new)| O::Rename(old, new)),
        3 => (prop::bool::ANY, path(), path()).prop_map(|(f, old, new)| O::Link(f, old, new)),
        4 => (target(), path()).prop_map(|(target, path)| O::Symlink(target, path)),
        2 => path().prop_map(O::ReadLink),
        3 => (prop::bool::ANY, path()).prop_map(|(follow, path)| O::Stat(follow, path)),
        2 => path().prop_map(O::List),
        6 => (slot(), path(), flags()).prop_map(|(slot, path, flags)| O::Open(slot, path, flags)),
        4 => (slot(), offset(), offset()).prop_map(|(slot, at, length)| O::Read(slot, at, length)),
        4 => (slot(), offset(), data()).prop_map(|(slot, at, data)| O::Write(slot, at, data)),
        2 => (slot(), data()).prop_map(|(slot, data)| O::Append(slot, data)),
        2 => (slot(), offset()).prop_map(|(slot, size)| O::SetSize(slot, size)),
        2 => slot().prop_map(O::StatOpen),
        1 => slot().prop_map(O::Close),
    ]
}

/// Lists everything below a directory: paths, types, sizes and content.
fn listing(machine: &mut Machine, memory: &mut Memory) -> Result<(), TestCaseError> {
    let mut pending = vec![".".to_owned()];
    while let Some(directory) = pending.pop() {
        let list = Operation::List(directory.clone());
        let names = compare(machine, memory, &list)?;
        let Outcome::Names(names) = names else {
            panic!("{directory} is listed as {names:?}");
        };
        for (name, file_type) in names {
            let path = format!("{directory}/{name}");
            compare(machine, memory, &Operation::Stat(false, path.clone()))?;
            match file_type {
                FileType::Directory => pending.push(path),
                FileType::File => {
                    let flags = OpenFlags {
                        read: true,
                        ..OpenFlags::default()
                    };
                    compare(machine, memory, &Operation::Open(0, path, flags))?;
                    compare(machine, memory, &Operation::Read(0, 0, 250_000))?;
                    compare(machine, memory, &Operation::Read(0, 250_000, 250_000))?;
                }
                _ => {
                    compare(machine, memory, &Operation::ReadLink(path))?;
                }
            }
        }
    }
    Ok(())
}

fn compare(
    machine: &mut Machine,
    memory: &mut Memory,
    operation: &Operation,
) -> Result<Outcome, TestCaseError> {
    let expected = Outcome::from(machine.apply(operation));
    let found = Outcome::from(memory.apply(operation));
    prop_assert!(
        found == expected,
        "{operation:.200?} returns {found:.200?}, and on this machine {expected:.200?}"
    );
    Ok(found)
}

/// Returns a directory in memory, where the machine has one: that is fifteen times as fast.
fn temporary_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a directory")
}

proptest! {
    #![proptest_config(ProptestConfig {
        // `PROPTEST_CASES` raises it.
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_operations_have_the_same_results_as_on_this_machine(
        operations in prop::collection::vec(operation(), 1..50)
    ) {
        let temporary = temporary_directory();
        let mut machine = Machine::new(temporary.path());
        let mut memory = Memory::new();
        for operation in &operations {
            compare(&mut machine, &mut memory, operation)?;
        }
        listing(&mut machine, &mut memory)?;
        machine.open = [const { None }; SLOTS];
        memory.open.iter().flatten().for_each(|open| memory.files.close(*open).expect("open"));
        // All that was taken from the budget is in a file that exists, or was returned.
        let (bytes, files) = usage(temporary.path(), DEPTH);
        prop_assert_eq!((memory.files.used_bytes(), memory.files.used_files()), (bytes, files));
    }
}

/// Returns the bytes of all files and links of this machine, each once, and the number of entries
/// below the start, which is `depth` directories down.
fn usage(directory: &Path, depth: usize) -> (u64, usize) {
    use std::os::unix::fs::MetadataExt;
    let mut seen = std::collections::HashSet::new();
    let mut pending = vec![directory.to_owned()];
    let (mut bytes, mut entries) = (0, 0);
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let metadata = std::fs::symlink_metadata(&path).expect("metadata");
            entries += 1;
            if metadata.is_dir() {
                pending.push(path);
            } else if seen.insert(metadata.ino()) {
                bytes += metadata.len();
            }
        }
    }
    (bytes, entries - depth)
}
