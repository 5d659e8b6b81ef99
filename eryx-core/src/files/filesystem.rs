//! The functions of `wasi:filesystem/types`.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::io::error::Error as StreamError;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::failure::Failure as HostFailure;
use crate::file_tree::{Node, NodeId, PathError};
use crate::files::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Host,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::files::descriptor::{Descriptor, DirectoryEntries};
use crate::files::error::FileError;
use crate::files::stream::{FileStream, MAX_READ};
use crate::store_state::StoreState;

type Failure = HostFailure<FileError>;

/// The most files and directories that a program may hold open at once.
const MAX_OPEN: usize = 64;

/// The modification time of every file, in seconds since 1970: the first day of 1980, the earliest
/// time that a zip archive can have. It is the same for all files, so that the directory caches of
/// an interpreter (`importlib`) are valid in every sandbox.
const MODIFIED: u64 = 315_532_800;

impl From<FileError> for ErrorCode {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Path(PathError::NoEntry) => Self::NoEntry,
            FileError::Path(PathError::NotADirectory) | FileError::NotADirectory => {
                Self::NotDirectory
            }
            FileError::Path(PathError::Outside) => Self::NotPermitted,
            FileError::Path(PathError::TooLong) => Self::NameTooLong,
            FileError::IsADirectory => Self::IsDirectory,
            FileError::Exists => Self::Exist,
            FileError::NotALink => Self::Invalid,
            FileError::ReadOnly => Self::ReadOnly,
            // WASI 0.2 has no EMFILE; the guest gets EDQUOT.
            FileError::TooManyOpen => Self::Quota,
        }
    }
}

impl StoreState {
    /// Gives the guest a handle for `descriptor`, unless it holds as many as it may.
    pub(super) fn open(&mut self, descriptor: Descriptor) -> Result<Resource<Descriptor>, Failure> {
        if self.open_files >= MAX_OPEN {
            return Err(FileError::TooManyOpen.into());
        }
        let handle = self.table.push(descriptor)?;
        self.open_files += 1;
        Ok(handle)
    }
}

fn node_type(node: &Node) -> DescriptorType {
    match node {
        Node::File(_) => DescriptorType::RegularFile,
        Node::Directory(_) => DescriptorType::Directory,
    }
}

fn stat(node: &Node) -> DescriptorStat {
    let modified = Some(Datetime {
        seconds: MODIFIED,
        nanoseconds: 0,
    });
    DescriptorStat {
        type_: node_type(node),
        link_count: 1,
        size: match node {
            Node::File(content) => content.len() as u64,
            Node::Directory(_) => 0,
        },
        data_access_timestamp: modified,
        data_modification_timestamp: modified,
        status_change_timestamp: modified,
    }
}

/// Returns the identity of a node, from which the image's libc makes an inode number.
fn metadata_hash(id: NodeId) -> MetadataHashValue {
    MetadataHashValue {
        // 0 is not a valid inode number.
        lower: id as u64 + 1,
        upper: 0,
    }
}

/// Fails, as every function does that would change a file.
fn read_only<T>() -> Result<T, Failure> {
    Err(FileError::ReadOnly.into())
}

impl Host for StoreState {
    fn convert_error_code(&mut self, failure: Failure) -> wasmtime::Result<ErrorCode> {
        failure.into_guest_error().map(ErrorCode::from)
    }

    fn filesystem_error_code(
        &mut self,
        _: Resource<StreamError>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        // The streams of files do not fail.
        Ok(None)
    }
}

impl HostDescriptor for StoreState {
    fn read_via_stream(
        &mut self,
        handle: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Resource<DynInputStream>, Failure> {
        let stream = FileStream::new(self.table.get(&handle)?.file()?, offset);
        Ok(self.table.push(Box::new(stream) as DynInputStream)?)
    }

    fn write_via_stream(
        &mut self,
        _: Resource<Descriptor>,
        _: u64,
    ) -> Result<Resource<DynOutputStream>, Failure> {
        read_only()
    }

    fn append_via_stream(
        &mut self,
        _: Resource<Descriptor>,
    ) -> Result<Resource<DynOutputStream>, Failure> {
        read_only()
    }

    fn advise(
        &mut self,
        _: Resource<Descriptor>,
        _: u64,
        _: u64,
        _: Advice,
    ) -> Result<(), Failure> {
        Ok(())
    }

    fn sync_data(&mut self, _: Resource<Descriptor>) -> Result<(), Failure> {
        Ok(())
    }

    fn get_flags(&mut self, _: Resource<Descriptor>) -> Result<DescriptorFlags, Failure> {
        Ok(DescriptorFlags::READ)
    }

    fn get_type(&mut self, handle: Resource<Descriptor>) -> Result<DescriptorType, Failure> {
        let descriptor = self.table.get(&handle)?;
        Ok(node_type(descriptor.node(descriptor.id())))
    }

    fn set_size(&mut self, _: Resource<Descriptor>, _: u64) -> Result<(), Failure> {
        read_only()
    }

    fn set_times(
        &mut self,
        _: Resource<Descriptor>,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Result<(), Failure> {
        read_only()
    }

    fn read(
        &mut self,
        handle: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let content = self.table.get(&handle)?.file()?;
        let start = usize::try_from(offset).map_or(content.len(), |at| at.min(content.len()));
        let rest = &content[start..];
        let wanted = usize::try_from(length).unwrap_or(usize::MAX);
        let read = &rest[..wanted.min(MAX_READ).min(rest.len())];
        Ok((read.to_vec(), read.len() == rest.len()))
    }

    fn write(&mut self, _: Resource<Descriptor>, _: Vec<u8>, _: u64) -> Result<u64, Failure> {
        read_only()
    }

    fn read_directory(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> Result<Resource<DirectoryEntries>, Failure> {
        let entries = DirectoryEntries::new(self.table.get(&handle)?)?;
        Ok(self.table.push(entries)?)
    }

    fn sync(&mut self, _: Resource<Descriptor>) -> Result<(), Failure> {
        Ok(())
    }

    fn create_directory_at(&mut self, _: Resource<Descriptor>, _: String) -> Result<(), Failure> {
        read_only()
    }

    fn stat(&mut self, handle: Resource<Descriptor>) -> Result<DescriptorStat, Failure> {
        let descriptor = self.table.get(&handle)?;
        Ok(stat(descriptor.node(descriptor.id())))
    }

    fn stat_at(
        &mut self,
        handle: Resource<Descriptor>,
        _: PathFlags,
        path: String,
    ) -> Result<DescriptorStat, Failure> {
        let descriptor = self.table.get(&handle)?;
        Ok(stat(descriptor.node(descriptor.find(&path)?)))
    }

    fn set_times_at(
        &mut self,
        _: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Result<(), Failure> {
        read_only()
    }

    fn link_at(
        &mut self,
        _: Resource<Descriptor>,
        _: PathFlags,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> Result<(), Failure> {
        read_only()
    }

    fn open_at(
        &mut self,
        handle: Resource<Descriptor>,
        _: PathFlags,
        path: String,
        flags: OpenFlags,
        access: DescriptorFlags,
    ) -> Result<Resource<Descriptor>, Failure> {
        let descriptor = self.table.get(&handle)?;
        let id = match descriptor.find(&path) {
            Err(FileError::Path(PathError::NoEntry)) if flags.contains(OpenFlags::CREATE) => {
                return read_only();
            }
            found => found?,
        };
        let opened = descriptor.reopen(id);
        if flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
            return Err(FileError::Exists.into());
        }
        if flags.contains(OpenFlags::DIRECTORY) {
            opened.directory()?;
        }
        if flags.contains(OpenFlags::TRUNCATE) || access.contains(DescriptorFlags::WRITE) {
            opened.file()?;
            return read_only();
        }
        self.open(opened)
    }

    fn readlink_at(
        &mut self,
        handle: Resource<Descriptor>,
        path: String,
    ) -> Result<String, Failure> {
        self.table.get(&handle)?.find(&path)?;
        // There are no links.
        Err(FileError::NotALink.into())
    }

    fn remove_directory_at(&mut self, _: Resource<Descriptor>, _: String) -> Result<(), Failure> {
        read_only()
    }

    fn rename_at(
        &mut self,
        _: Resource<Descriptor>,
        _: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> Result<(), Failure> {
        read_only()
    }

    fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, _: String) -> Result<(), Failure> {
        read_only()
    }

    fn unlink_file_at(&mut self, _: Resource<Descriptor>, _: String) -> Result<(), Failure> {
        read_only()
    }

    fn is_same_object(
        &mut self,
        handle: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let descriptor = self.table.get(&handle)?;
        Ok(descriptor.is_same(self.table.get(&other)?))
    }

    fn metadata_hash(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> Result<MetadataHashValue, Failure> {
        Ok(metadata_hash(self.table.get(&handle)?.id()))
    }

    fn metadata_hash_at(
        &mut self,
        handle: Resource<Descriptor>,
        _: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue, Failure> {
        Ok(metadata_hash(self.table.get(&handle)?.find(&path)?))
    }

    fn drop(&mut self, handle: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.open_files -= 1;
        Ok(())
    }
}

impl HostDirectoryEntryStream for StoreState {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntries>,
    ) -> Result<Option<DirectoryEntry>, Failure> {
        let entries = self.table.get_mut(&stream)?;
        let entry = entries.next()?;
        Ok(entry.map(|(name, node)| DirectoryEntry {
            type_: node_type(node),
            name: name.to_owned(),
        }))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntries>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
