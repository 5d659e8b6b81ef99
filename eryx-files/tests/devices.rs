//! Devices in the tree of a program.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use eryx_files::{
    Descriptor, Device, DeviceDirectory, Error, FileSystem, FileType, Layout, Limits, Mount,
    NewTime, OpenFlags, Timestamp,
};

use support::{CREATE, READ, start_with};

/// Has an endless number of this byte, and discards what is written.
#[derive(Debug)]
struct Filler(u8);

/// Cannot be opened.
#[derive(Debug)]
struct Absent;

impl Device for Filler {
    fn read(&self, length: usize) -> Result<Bytes, Error> {
        Ok(vec![self.0; length].into())
    }

    fn write(&self, data: &[u8]) -> Result<usize, Error> {
        Ok(data.len())
    }
}

impl Device for Absent {
    fn open(&self) -> Result<(), Error> {
        Err(Error::NoSuchDevice)
    }

    fn read(&self, _: usize) -> Result<Bytes, Error> {
        Err(Error::NoSuchDevice)
    }

    fn write(&self, _: &[u8]) -> Result<usize, Error> {
        Err(Error::NoSuchDevice)
    }
}

fn start() -> (FileSystem, Descriptor) {
    let devices = DeviceDirectory::new(Timestamp::from_seconds(7))
        .with("b", Arc::new(Filler(b'b')))
        .with("a", Arc::new(Filler(b'a')))
        .with("absent", Arc::new(Absent));
    let layout = Layout::builder(Timestamp::default())
        .mount("/dev", Mount::Directory(Arc::new(devices)))
        .expect("a mount")
        .build();
    start_with(
        &layout,
        Limits::default().with_max_file_bytes(0).expect("a limit"),
    )
}

#[test]
fn a_device_is_read_and_written_without_position_and_budget() {
    let (mut files, root) = start();
    let device = files.open_at(root, "dev/b", CREATE).expect("a device");
    for offset in [0, 5, u64::MAX] {
        assert_eq!(files.read(device, offset, 3).expect("read"), "bbb");
        assert_eq!(files.write(device, offset, b"xx"), Ok(2));
    }
    assert_eq!(files.append(device, b"xx"), Ok(2));
    let most = Limits::MAX_TRANSFER;
    assert_eq!(files.read(device, 0, u64::MAX).expect("read").len(), most);
    assert_eq!(files.write(device, 0, &vec![0; most + 1]), Ok(most));
    assert_eq!(files.room(device, Some(1 << 60), usize::MAX), Ok(most));
    assert_eq!(files.set_size(device, 0), Err(Error::Invalid));
    let stat = files.stat(device).expect("a device");
    assert_eq!((stat.file_type, stat.size), (FileType::CharacterDevice, 0));
    assert_eq!(files.device(device).expect("open").map(|_| ()), Some(()));
    assert!(files.device(root).expect("open").is_none());
    // Truncation has no effect.
    let truncate = OpenFlags {
        truncate: true,
        ..CREATE
    };
    files.open_at(root, "dev/a", truncate).expect("a device");
    let reader = files.open_at(root, "dev/a", READ).expect("a device");
    assert_eq!(files.write(reader, 0, b"x"), Err(Error::BadDescriptor));
    assert_eq!((files.used_bytes(), files.used_files()), (0, 0));
}

#[test]
fn a_directory_of_devices_cannot_be_changed() {
    let (mut files, root) = start();
    let device = files.open_at(root, "dev/b", CREATE).expect("a device");
    for result in [
        files.open_at(root, "dev/new", CREATE).map(|_| ()),
        files.create_directory_at(root, "dev/new"),
        files.unlink_file_at(root, "dev/a"),
        files.rename_at(root, "dev/a", root, "dev/new"),
        files.set_times(device, NewTime::Now, NewTime::Now),
        files.set_times_at(root, true, "dev/a", NewTime::Now, NewTime::Now),
        files.set_times_at(root, true, "dev", NewTime::Now, NewTime::Now),
    ] {
        assert_eq!(result, Err(Error::ReadOnly));
    }
    for (result, error) in [
        (files.symlink_at("x", root, "dev/new"), Error::NotPermitted),
        (
            files.link_at(root, true, "dev/a", root, "dev/new"),
            Error::NotPermitted,
        ),
        (
            files.link_at(root, true, "dev/a", root, "new"),
            Error::CrossDevice,
        ),
        (
            files.rename_at(root, "dev/a", root, "new"),
            Error::CrossDevice,
        ),
        (
            files.remove_directory_at(root, "dev/a"),
            Error::NotADirectory,
        ),
        (files.remove_directory_at(root, "dev"), Error::Busy),
        (
            files.stat_at(root, true, "dev/c").map(|_| ()),
            Error::NoEntry,
        ),
        (
            files.stat_at(root, true, "dev/a/x").map(|_| ()),
            Error::NotADirectory,
        ),
        (
            files.open_at(root, "dev/a/", READ).map(|_| ()),
            Error::NotADirectory,
        ),
        (
            files.open_at(root, "dev/absent", READ).map(|_| ()),
            Error::NoSuchDevice,
        ),
        (files.readlink_at(root, "dev/a").map(|_| ()), Error::Invalid),
    ] {
        assert_eq!(result, Err(error));
    }
}

#[test]
fn devices_are_listed_with_their_own_identities() {
    let (mut files, root) = start();
    let directory = files.open_at(root, "dev", READ).expect("a directory");
    let listing = files.list(directory).expect("a listing");
    let mut names = Vec::new();
    while let Some((name, file_type)) = files.next_entry(listing).expect("an entry") {
        assert_eq!(file_type, FileType::CharacterDevice);
        names.push(name.to_string());
    }
    assert_eq!(names, ["a", "absent", "b"]);
    let mut identities: Vec<_> = ["dev", "dev/a", "dev/absent", "dev/b", "."]
        .map(|path| files.stat_at(root, true, path).expect(path).identity)
        .into();
    identities.sort_by_key(|identity| (identity.volume, identity.number));
    identities.dedup();
    assert_eq!(identities.len(), 5);
}
