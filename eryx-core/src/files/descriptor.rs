//! What a guest has open, and what it may do with it.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::io::error::Error as StreamFailure;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use super::Failure;
use super::bindings::wasi::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use super::stream::FileStream;
use super::tree::{Folder, Missing, Node, Number, Tree};
use crate::store_state::Host;

/// The most bytes that one read returns: what a program cannot have in one go it asks for again.
pub(super) const MAX_READ: usize = 256 << 10;

/// When every file was last changed, in seconds since 1970: the first day of 1980, the earliest that archives in the format of
/// zip can tell. The same for all, so that what an interpreter remembers of a folder holds in every sandbox.
const CHANGED: u64 = 315_532_800;

/// An open file or folder.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "what `bindgen!` makes names it in public")]
pub struct Descriptor {
    tree: Arc<Tree>,
    number: Number,
}

impl Descriptor {
    /// Returns the root of a tree, open.
    pub(super) fn root(tree: Arc<Tree>) -> Self {
        Self { tree, number: 0 }
    }

    fn file(&self) -> Result<&Bytes, Failure> {
        match self.tree.node(self.number) {
            Node::File(content) => Ok(content),
            Node::Folder(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    fn folder(&self) -> Result<&Folder, Failure> {
        match self.tree.node(self.number) {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    /// Returns what a path leads to from here.
    fn find(&self, path: &str) -> Result<Number, Failure> {
        self.folder()?;
        self.tree.find(self.number, path).map_err(|missing| {
            Failure::Code(match missing {
                Missing::NoEntry => ErrorCode::NoEntry,
                Missing::NotAFolder => ErrorCode::NotDirectory,
                Missing::Outside => ErrorCode::NotPermitted,
                Missing::TooLong => ErrorCode::NameTooLong,
            })
        })
    }

    fn stat(&self, number: Number) -> DescriptorStat {
        let node = self.tree.node(number);
        let changed = Some(Datetime {
            seconds: CHANGED,
            nanoseconds: 0,
        });
        DescriptorStat {
            type_: kind(node),
            link_count: 1,
            size: match node {
                Node::File(content) => content.len() as u64,
                Node::Folder(_) => 0,
            },
            data_access_timestamp: changed,
            data_modification_timestamp: changed,
            status_change_timestamp: changed,
        }
    }
}

/// The entries of a folder, from one on.
#[derive(Debug)]
#[allow(unreachable_pub, reason = "what `bindgen!` makes names it in public")]
pub struct DirectoryEntries {
    folder: Descriptor,
    next: usize,
}

fn kind(node: &Node) -> DescriptorType {
    match node {
        Node::File(_) => DescriptorType::RegularFile,
        Node::Folder(_) => DescriptorType::Directory,
    }
}

/// What identifies a node: the library of the image makes the number of an inode of it.
fn hash(number: Number) -> MetadataHashValue {
    MetadataHashValue {
        // A number of 0 is that of no inode.
        lower: number as u64 + 1,
        upper: 0,
    }
}

/// What everything that would change a file is answered.
fn read_only<T>() -> Result<T, Failure> {
    Err(ErrorCode::ReadOnly.into())
}

impl types::Host for Host {
    fn convert_error_code(&mut self, failure: Failure) -> wasmtime::Result<ErrorCode> {
        match failure {
            Failure::Code(code) => Ok(code),
            Failure::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(
        &mut self,
        _: Resource<StreamFailure>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        // Streams of files do not fail.
        Ok(None)
    }
}

impl types::HostDescriptor for Host {
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
        Ok(kind(descriptor.tree.node(descriptor.number)))
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
        let descriptor = self.table.get(&handle)?;
        descriptor.folder()?;
        let entries = DirectoryEntries {
            folder: Descriptor {
                tree: Arc::clone(&descriptor.tree),
                number: descriptor.number,
            },
            next: 0,
        };
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
        Ok(descriptor.stat(descriptor.number))
    }

    fn stat_at(
        &mut self,
        handle: Resource<Descriptor>,
        _: PathFlags,
        path: String,
    ) -> Result<DescriptorStat, Failure> {
        let descriptor = self.table.get(&handle)?;
        Ok(descriptor.stat(descriptor.find(&path)?))
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
        how: OpenFlags,
        access: DescriptorFlags,
    ) -> Result<Resource<Descriptor>, Failure> {
        let from = self.table.get(&handle)?;
        let number = match from.find(&path) {
            Err(Failure::Code(ErrorCode::NoEntry)) if how.contains(OpenFlags::CREATE) => {
                return read_only();
            }
            found => found?,
        };
        let opened = Descriptor {
            tree: Arc::clone(&from.tree),
            number,
        };
        if how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE) {
            return Err(ErrorCode::Exist.into());
        }
        if how.contains(OpenFlags::DIRECTORY) {
            opened.folder()?;
        }
        if how.contains(OpenFlags::TRUNCATE) || access.contains(DescriptorFlags::WRITE) {
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
        Err(ErrorCode::Invalid.into())
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
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (one, other) = (self.table.get(&one)?, self.table.get(&other)?);
        Ok(Arc::ptr_eq(&one.tree, &other.tree) && one.number == other.number)
    }

    fn metadata_hash(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> Result<MetadataHashValue, Failure> {
        Ok(hash(self.table.get(&handle)?.number))
    }

    fn metadata_hash_at(
        &mut self,
        handle: Resource<Descriptor>,
        _: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue, Failure> {
        Ok(hash(self.table.get(&handle)?.find(&path)?))
    }

    fn drop(&mut self, handle: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        self.files.open -= 1;
        Ok(())
    }
}

impl types::HostDirectoryEntryStream for Host {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntries>,
    ) -> Result<Option<DirectoryEntry>, Failure> {
        let entries = self.table.get_mut(&stream)?;
        let Some((name, number)) = entries.folder.folder()?.entry(entries.next) else {
            return Ok(None);
        };
        let entry = DirectoryEntry {
            type_: kind(entries.folder.tree.node(number)),
            name: name.to_owned(),
        };
        entries.next += 1;
        Ok(Some(entry))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntries>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
