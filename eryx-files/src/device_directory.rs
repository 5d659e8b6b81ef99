//! A directory of devices.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::mount::{Access, MountedDirectory, MountedEntries, MountedFile};
use crate::stat::{FileId, FileType, Stat};
use crate::time::{NewTime, Timestamp};

/// A character device. It has no content and no position, and all sandboxes of a layout share it.
///
/// The program waits for each function, on the thread that runs it.
pub trait Device: Any + Send + Sync + fmt::Debug {
    /// Returns the error with which the device cannot be opened, if it cannot.
    fn open(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Reads at most `length` bytes, which are at most
    /// [`Limits::MAX_TRANSFER`](crate::Limits::MAX_TRANSFER). Returns no bytes at the end of the
    /// file.
    fn read(&self, length: usize) -> Result<Bytes, Error>;

    /// Writes bytes, and returns how many. There are at most
    /// [`Limits::MAX_TRANSFER`](crate::Limits::MAX_TRANSFER).
    fn write(&self, data: &[u8]) -> Result<usize, Error>;
}

/// A directory of devices, such as `/dev`, for [`Mount::Directory`](crate::Mount::Directory).
/// Programs use the devices, and cannot change the directory.
///
/// ```
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use eryx_files::{
///     Device, DeviceDirectory, Error, FileType, Layout, Limits, Mount, OpenFlags, Timestamp,
/// };
///
/// /// `/dev/null`.
/// #[derive(Debug)]
/// struct Null;
///
/// impl Device for Null {
///     fn read(&self, _: usize) -> Result<Bytes, Error> {
///         Ok(Bytes::new())
///     }
///
///     fn write(&self, data: &[u8]) -> Result<usize, Error> {
///         Ok(data.len())
///     }
/// }
///
/// let time = Timestamp::from_seconds(1_700_000_000);
/// let devices = DeviceDirectory::new(time).with("null", Arc::new(Null));
/// let layout = Layout::builder(time)
///     .mount("/dev", Mount::Directory(Arc::new(devices)))?
///     .build();
/// let mut files = layout.start(Limits::default(), move || time);
/// let root = files.open_root()?;
/// let stat = files.stat_at(root, true, "dev/null")?;
/// assert_eq!(stat.file_type, FileType::CharacterDevice);
/// let flags = OpenFlags {
///     write: true,
///     ..OpenFlags::default()
/// };
/// let null = files.open_at(root, "dev/null", flags)?;
/// assert_eq!(files.write(null, 0, b"discarded")?, 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeviceDirectory {
    time: Timestamp,
    devices: BTreeMap<&'static str, Arc<dyn Device>>,
}

/// An open device.
#[derive(Debug)]
struct OpenDevice {
    device: Arc<dyn Device>,
    stat: Stat,
}

impl DeviceDirectory {
    /// The number of the directory itself. Those of the devices follow.
    const NUMBER: u64 = 1;

    /// Returns a directory without devices. All that is in it has the time `time`.
    pub fn new(time: Timestamp) -> Self {
        Self {
            time,
            devices: BTreeMap::new(),
        }
    }

    /// Adds a device, in place of the one that has the name.
    #[must_use = "the device is in the directory that is returned"]
    pub fn with(mut self, name: &'static str, device: Arc<dyn Device>) -> Self {
        self.devices.insert(name, device);
        self
    }

    fn stat_number(&self, file_type: FileType, number: u64) -> Stat {
        Stat {
            file_type,
            // The file system replaces the volume.
            identity: FileId { volume: 0, number },
            links: 1,
            size: 0,
            accessed: self.time,
            modified: self.time,
            changed: self.time,
        }
    }

    fn find(&self, name: &str) -> Result<OpenDevice> {
        let mut numbers = Self::NUMBER + 1..;
        let mut devices = self.devices.iter().zip(&mut numbers);
        let found = devices.find(|((of, _), _)| **of == name);
        let ((_, device), number) = found.ok_or(Error::NoEntry)?;
        Ok(OpenDevice {
            device: Arc::clone(device),
            stat: self.stat_number(FileType::CharacterDevice, number),
        })
    }
}

impl MountedDirectory for DeviceDirectory {
    fn stat(&self) -> Result<Stat, Error> {
        Ok(self.stat_number(FileType::Directory, Self::NUMBER))
    }

    fn stat_entry(&self, name: &str) -> Result<Stat, Error> {
        Ok(self.find(name)?.stat)
    }

    fn directory(&self, name: &str) -> Result<Arc<dyn MountedDirectory>, Error> {
        self.find(name)?;
        Err(Error::NotADirectory)
    }

    fn open_file(&self, name: &str, _: Access) -> Result<Arc<dyn MountedFile>, Error> {
        let opened = self.find(name)?;
        opened.device.open()?;
        Ok(Arc::new(opened))
    }

    fn create_file(&self, _: &str) -> Result<Arc<dyn MountedFile>, Error> {
        Err(Error::ReadOnly)
    }

    fn create_directory(&self, _: &str) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn remove_file(&self, _: &str) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn remove_directory(&self, name: &str) -> Result<(), Error> {
        self.find(name)?;
        Err(Error::NotADirectory)
    }

    fn rename(&self, _: &str, _: &dyn MountedDirectory, _: &str) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn read_link(&self, _: &str) -> Result<String, Error> {
        Err(Error::Invalid)
    }

    fn set_times(&self, _: Option<&str>, _: NewTime, _: NewTime) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn entries(&self) -> Result<MountedEntries, Error> {
        let names: Vec<_> = self.devices.keys().copied().collect();
        let entries = names.into_iter();
        Ok(Box::new(entries.map(|name| {
            Ok((name.to_owned(), FileType::CharacterDevice))
        })))
    }
}

impl MountedFile for OpenDevice {
    fn stat(&self) -> Result<Stat, Error> {
        Ok(self.stat)
    }

    fn read(&self, _: u64, length: usize) -> Result<Bytes, Error> {
        self.device.read(length)
    }

    fn write(&self, _: Option<u64>, data: &[u8]) -> Result<usize, Error> {
        self.device.write(data)
    }

    fn set_size(&self, _: u64) -> Result<(), Error> {
        Err(Error::Invalid)
    }

    fn set_times(&self, _: NewTime, _: NewTime) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    fn device(&self) -> Option<&dyn Device> {
        Some(&*self.device)
    }
}
