//! The content of open files.

use bytes::Bytes;

use crate::device_directory::Device;
use crate::error::{Error, Result};
use crate::file_system::FileSystem;
use crate::limits::Limits;
use crate::mount::Access;
use crate::open_file_table::{Descriptor, OpenFile, Opened};

impl FileSystem {
    /// Reads at most `length` bytes from `offset` on, and at most [`Limits::MAX_TRANSFER`]. Returns
    /// no bytes at the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if the file is not open for reading, [`Error::IsADirectory`], and
    /// [`Error::Io`] if the source of the content fails.
    pub fn read(&self, descriptor: Descriptor, offset: u64, length: u64) -> Result<Bytes, Error> {
        let errors = [Error::BadDescriptor, Error::IsADirectory];
        match self.file(descriptor, |access| access.read, errors)? {
            OpenFile::Node(0, id) => self.tree.read(*id, offset, length),
            OpenFile::Node(volume, id) => {
                let content = self.mounts.node(*volume, *id)?.file()?;
                content.read(offset, length)
            }
            OpenFile::Mounted(_, file) => {
                let length = length.min(Limits::MAX_TRANSFER as u64) as usize;
                file.read(offset, length)
            }
        }
    }

    /// Writes bytes at `offset`, and returns how many: at most [`Limits::MAX_TRANSFER`], and fewer
    /// if the budget is used up.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if the file is not open for writing, [`Error::NoSpace`] if not one
    /// byte fits, and [`Error::FileTooLarge`] if none ever does, because of the offset.
    pub fn write(
        &mut self,
        descriptor: Descriptor,
        offset: u64,
        data: &[u8],
    ) -> Result<usize, Error> {
        self.write_or_append(descriptor, Some(offset), data)
    }

    /// Writes bytes at the end of a file, as [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn append(&mut self, descriptor: Descriptor, data: &[u8]) -> Result<usize, Error> {
        self.write_or_append(descriptor, None, data)
    }

    /// Returns how many bytes of `wanted` a [`write`](Self::write) at `offset` takes, or an
    /// [`append`](Self::append) if that is `None`. For files that are not in memory it is all up to
    /// [`Limits::MAX_TRANSFER`], and the write can fail.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn room(
        &self,
        descriptor: Descriptor,
        offset: Option<u64>,
        wanted: usize,
    ) -> Result<usize, Error> {
        match self.file(descriptor, |access| access.write, [Error::BadDescriptor; 2])? {
            OpenFile::Node(0, id) => self.tree.room(*id, offset, wanted),
            OpenFile::Node(..) => Err(Error::ReadOnly),
            OpenFile::Mounted(..) => Ok(wanted.min(Limits::MAX_TRANSFER)),
        }
    }

    fn write_or_append(
        &mut self,
        descriptor: Descriptor,
        offset: Option<u64>,
        data: &[u8],
    ) -> Result<usize> {
        let file = self.file(descriptor, |access| access.write, [Error::BadDescriptor; 2])?;
        match file.clone() {
            OpenFile::Node(0, id) => self.tree.write(id, offset, data),
            OpenFile::Node(..) => Err(Error::ReadOnly),
            OpenFile::Mounted(_, file) => {
                file.write(offset, &data[..data.len().min(Limits::MAX_TRANSFER)])
            }
        }
    }

    /// Sets the size of a file. New bytes are 0, and count against the budget.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the file is not open for writing, [`Error::NoSpace`] and
    /// [`Error::FileTooLarge`].
    pub fn set_size(&mut self, descriptor: Descriptor, size: u64) -> Result<(), Error> {
        let file = self.file(descriptor, |access| access.write, [Error::Invalid; 2])?;
        match file.clone() {
            OpenFile::Node(0, id) => self.tree.set_size(id, size),
            OpenFile::Node(..) => Err(Error::ReadOnly),
            OpenFile::Mounted(_, file) => file.set_size(size),
        }
    }

    /// Returns for what a file was opened.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if it is not open.
    pub fn access(&self, descriptor: Descriptor) -> Result<Access, Error> {
        match self.table.get(descriptor)? {
            Opened::Directory(_) => Ok(Access {
                read: true,
                ..Access::default()
            }),
            Opened::File(_, access) => Ok(*access),
        }
    }

    /// Returns the device that is open, or `None` for a file or directory.
    ///
    /// # Errors
    ///
    /// [`Error::BadDescriptor`] if it is not open.
    pub fn device(&self, descriptor: Descriptor) -> Result<Option<&dyn Device>, Error> {
        Ok(match self.table.get(descriptor)? {
            Opened::File(OpenFile::Mounted(_, file), _) => file.device(),
            Opened::Directory(_) | Opened::File(OpenFile::Node(..), _) => None,
        })
    }

    /// Returns an open file. The errors are for a file that is not open in this way, and for a
    /// directory.
    fn file(
        &self,
        descriptor: Descriptor,
        allows: fn(&Access) -> bool,
        errors: [Error; 2],
    ) -> Result<&OpenFile> {
        match self.table.get(descriptor)? {
            Opened::Directory(_) => Err(errors[1]),
            Opened::File(_, access) if !allows(access) => Err(errors[0]),
            Opened::File(file, _) => Ok(file),
        }
    }
}
