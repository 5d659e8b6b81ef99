//! The devices of a guest.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use eryx_files::{Device, DeviceDirectory, Error, Timestamp};

use crate::stream_kind::StreamKind;

/// The directory of the devices.
pub(crate) const DEVICES: &str = "/dev";

/// A standard stream of the program. The streams of `wasi:filesystem` are those of the instance
/// (`imports/filesystem.rs`), because all instances share the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandardStream {
    Input,
    Output(StreamKind),
}

/// Has no content, and discards what is written.
#[derive(Debug)]
struct Null;

/// Has an endless number of zeros, and discards what is written.
#[derive(Debug)]
struct Zero;

/// Has an endless number of random bytes, and discards what is written.
#[derive(Debug)]
struct Random;

/// The terminal, which a sandbox lacks.
#[derive(Debug)]
struct Terminal;

/// Returns the devices of every guest. All have the time `time`.
pub(super) fn directory(time: Timestamp) -> DeviceDirectory {
    let random = Arc::new(Random);
    DeviceDirectory::new(time)
        .with("null", Arc::new(Null))
        .with("random", random.clone())
        .with(
            "stderr",
            Arc::new(StandardStream::Output(StreamKind::Stderr)),
        )
        .with("stdin", Arc::new(StandardStream::Input))
        .with(
            "stdout",
            Arc::new(StandardStream::Output(StreamKind::Stdout)),
        )
        .with("tty", Arc::new(Terminal))
        .with("urandom", random)
        .with("zero", Arc::new(Zero))
}

impl StandardStream {
    /// Returns the standard stream that a device is.
    pub(crate) fn of(device: &dyn Device) -> Option<Self> {
        let device: &dyn Any = device;
        device.downcast_ref().copied()
    }
}

/// The functions have an error: only streams read and write it.
impl Device for StandardStream {
    fn read(&self, _: usize) -> Result<Bytes, Error> {
        Err(Error::BadDescriptor)
    }

    fn write(&self, _: &[u8]) -> Result<usize, Error> {
        Err(Error::BadDescriptor)
    }
}

impl Device for Null {
    fn read(&self, _: usize) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }

    fn write(&self, data: &[u8]) -> Result<usize, Error> {
        Ok(data.len())
    }
}

impl Device for Zero {
    fn read(&self, length: usize) -> Result<Bytes, Error> {
        Ok(vec![0; length].into())
    }

    fn write(&self, data: &[u8]) -> Result<usize, Error> {
        Ok(data.len())
    }
}

impl Device for Random {
    fn read(&self, length: usize) -> Result<Bytes, Error> {
        let mut bytes = vec![0; length];
        getrandom::fill(&mut bytes).map_err(|_| Error::Io)?;
        Ok(bytes.into())
    }

    fn write(&self, data: &[u8]) -> Result<usize, Error> {
        Ok(data.len())
    }
}

impl Device for Terminal {
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
