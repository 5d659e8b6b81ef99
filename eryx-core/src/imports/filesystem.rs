//! `wasi:filesystem` over the file system of `eryx-files`, in memory: converts types, and decides
//! nothing. It calls the kernel only for files and directories of the machine that the embedder
//! adds, so a program holds no descriptor of the process otherwise, whichever files it opens.

mod bindings;
mod descriptor;
mod error;
mod stream;

use std::sync::Arc;

use eryx_files::{
    Access, FileSystem, FileType, Listing, NewTime, OpenFlags as Open, Stat, Timestamp,
};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::cli::{StdinStream as _, StdoutStream as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::io::error::Error as StreamError;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::files::StandardStream;
use crate::imports::filesystem::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Host,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::imports::filesystem::bindings::wasi::filesystem::{preopens, types};
use crate::imports::filesystem::descriptor::Descriptor;
use crate::imports::filesystem::stream::{ReadStream, WriteStream};
use crate::provided_content;
use crate::store_state::StoreState;
use crate::trappable_error::TrappableError;

/// How a function of `wasi:filesystem` fails.
type FsError = TrappableError<eryx_files::Error>;

impl StoreState {
    /// Gives the guest a handle for an open file or directory.
    fn hold(&mut self, id: eryx_files::Descriptor) -> Result<Resource<Descriptor>, FsError> {
        self.table.push(Descriptor::new(id)).map_err(|error| {
            // It was opened before, so it can be closed.
            let _ = self.files.lock().close(id);
            error.into()
        })
    }

    /// Calls a function of the file system with the open file or directory of a handle.
    fn with_file<R>(
        &mut self,
        handle: &Resource<Descriptor>,
        call: impl FnOnce(&mut FileSystem, eryx_files::Descriptor) -> Result<R, eryx_files::Error>,
    ) -> Result<R, FsError> {
        let id = self.table.get(handle)?.id;
        Ok(call(&mut self.files.lock(), id)?)
    }

    /// Returns the standard stream that an open file is.
    ///
    /// # Errors
    ///
    /// `BadDescriptor` if it is one, and not open in this way.
    fn standard_stream(
        &self,
        handle: &Resource<Descriptor>,
        allows: fn(&Access) -> bool,
    ) -> Result<Option<StandardStream>, FsError> {
        let id = self.table.get(handle)?.id;
        let files = self.files.lock();
        let stream = files.device(id)?.and_then(StandardStream::of);
        if stream.is_some() && !allows(&files.access(id)?) {
            return Err(eryx_files::Error::BadDescriptor.into());
        }
        Ok(stream)
    }

    /// Waits until the content of the file at a path is loaded, if the embedder provides it, and it
    /// has to be: to read it, or, unless `reads`, to know its size.
    async fn load(
        &mut self,
        handle: &Resource<Descriptor>,
        follow: bool,
        path: &str,
        reads: bool,
    ) -> Result<(), FsError> {
        let id = self.table.get(handle)?.id;
        let unloaded = self.files.lock().unloaded_at(id, follow, path, reads);
        let Some(content) = unloaded else {
            return Ok(());
        };
        if content.is_loaded() {
            return Ok(content.load().map(drop)?);
        }
        let loaded = provided_content::load(&self.nesting, || content.begin_load()).await;
        Ok(loaded.map_err(|missing| TrappableError::Trap(missing.into()))??)
    }

    /// Gives the guest a stream that writes an open file from `offset` on, or at its end.
    fn write_stream(
        &mut self,
        handle: &Resource<Descriptor>,
        offset: Option<u64>,
    ) -> Result<Resource<DynOutputStream>, FsError> {
        if let Some(stream) = self.standard_stream(handle, |access| access.write)? {
            let StandardStream::Output(kind) = stream else {
                return Err(eryx_files::Error::BadDescriptor.into());
            };
            let stream = self.output(kind).p2_stream();
            return Ok(self.table.push(stream)?);
        }
        let descriptor = self.table.get(handle)?;
        // A stream has no error for a full budget: the image's libc makes EIO of each. This has.
        self.files.lock().room(descriptor.id, offset, 1)?;
        let position = match offset {
            Some(offset) => descriptor.position_at(offset),
            None => descriptor.position(),
        };
        let stream = WriteStream {
            files: Arc::clone(&self.files),
            file: descriptor.id,
            position,
            appends: offset.is_none(),
        };
        Ok(self.table.push(Box::new(stream) as DynOutputStream)?)
    }
}

fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::Directory => DescriptorType::Directory,
        FileType::File => DescriptorType::RegularFile,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::Other => DescriptorType::Unknown,
    }
}

fn descriptor_stat(stat: &Stat) -> DescriptorStat {
    let datetime = |time: Timestamp| {
        Some(Datetime {
            seconds: time.seconds(),
            nanoseconds: time.nanoseconds(),
        })
    };
    DescriptorStat {
        type_: descriptor_type(stat.file_type),
        link_count: stat.links,
        size: stat.size,
        data_access_timestamp: datetime(stat.accessed),
        data_modification_timestamp: datetime(stat.modified),
        status_change_timestamp: datetime(stat.changed),
    }
}

/// Returns the identity of a file, from which the image's libc makes an inode number.
fn metadata_hash(stat: &Stat) -> MetadataHashValue {
    let identity = stat.identity;
    MetadataHashValue {
        // Numbers of files in memory are small, and the volume does not change them: by that, the
        // image tells them from those of mounts (`database_locks.c`).
        lower: identity.number ^ identity.volume.rotate_right(16),
        upper: identity.volume,
    }
}

fn new_time(new: NewTimestamp) -> Result<NewTime, eryx_files::Error> {
    Ok(match new {
        NewTimestamp::NoChange => NewTime::Keep,
        NewTimestamp::Now => NewTime::Now,
        NewTimestamp::Timestamp(time) => {
            let time = Timestamp::new(time.seconds, time.nanoseconds);
            NewTime::At(time.ok_or(eryx_files::Error::Invalid)?)
        }
    })
}

fn follow(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

impl preopens::Host for StoreState {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let root = self.files.lock().open_root();
        match root
            .map_err(TrappableError::Guest)
            .and_then(|id| self.hold(id))
        {
            Ok(root) => Ok(vec![(root, "/".to_owned())]),
            // This function has no error for the guest; the image's libc calls it only once.
            Err(TrappableError::Guest(error)) => Err(ErrorCode::from(error).into()),
            Err(TrappableError::Trap(error)) => Err(error),
        }
    }
}

impl Host for StoreState {
    fn convert_error_code(&mut self, failure: FsError) -> wasmtime::Result<ErrorCode> {
        failure.into_guest_error().map(ErrorCode::from)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<StreamError>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        let file_error = error.downcast_ref::<eryx_files::Error>();
        Ok(file_error.copied().map(ErrorCode::from))
    }
}

impl HostDescriptor for StoreState {
    fn read_via_stream(
        &mut self,
        handle: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Resource<DynInputStream>, FsError> {
        if let Some(stream) = self.standard_stream(&handle, |access| access.read)? {
            if stream != StandardStream::Input {
                return Err(eryx_files::Error::BadDescriptor.into());
            }
            let stream = self.stdin.p2_stream();
            return Ok(self.table.push(stream)?);
        }
        let descriptor = self.table.get(&handle)?;
        self.files.lock().read(descriptor.id, offset, 0)?;
        let stream = ReadStream {
            files: Arc::clone(&self.files),
            file: descriptor.id,
            position: descriptor.position_at(offset),
        };
        Ok(self.table.push(Box::new(stream) as DynInputStream)?)
    }

    fn write_via_stream(
        &mut self,
        handle: Resource<Descriptor>,
        offset: u64,
    ) -> Result<Resource<DynOutputStream>, FsError> {
        self.write_stream(&handle, Some(offset))
    }

    fn append_via_stream(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> Result<Resource<DynOutputStream>, FsError> {
        self.write_stream(&handle, None)
    }

    fn advise(
        &mut self,
        handle: Resource<Descriptor>,
        _: u64,
        _: u64,
        _: Advice,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| files.stat(file).map(|_| ()))
    }

    fn sync_data(&mut self, handle: Resource<Descriptor>) -> Result<(), FsError> {
        self.sync(handle)
    }

    fn get_flags(&mut self, handle: Resource<Descriptor>) -> Result<DescriptorFlags, FsError> {
        let access = self.with_file(&handle, |files, file| files.access(file))?;
        let mut flags = DescriptorFlags::empty();
        if access.read {
            flags |= DescriptorFlags::READ;
        }
        if access.write {
            flags |= DescriptorFlags::WRITE;
        }
        Ok(flags)
    }

    fn get_type(&mut self, handle: Resource<Descriptor>) -> Result<DescriptorType, FsError> {
        let stat = self.with_file(&handle, |files, file| files.stat(file))?;
        Ok(descriptor_type(stat.file_type))
    }

    fn set_size(&mut self, handle: Resource<Descriptor>, size: u64) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| files.set_size(file, size))
    }

    fn set_times(
        &mut self,
        handle: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| {
            files.set_times(file, new_time(accessed)?, new_time(modified)?)
        })
    }

    fn read(
        &mut self,
        handle: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> Result<(Vec<u8>, bool), FsError> {
        self.with_file(&handle, |files, file| {
            let bytes = files.read(file, offset, length)?;
            let end = offset.saturating_add(bytes.len() as u64);
            let stat = files.stat(file)?;
            // A device has no size.
            let is_end = match stat.file_type {
                FileType::CharacterDevice => bytes.is_empty(),
                _ => end >= stat.size,
            };
            Ok((bytes.into(), is_end))
        })
    }

    fn write(
        &mut self,
        handle: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: u64,
    ) -> Result<u64, FsError> {
        self.with_file(&handle, |files, file| {
            let written = files.write(file, offset, &buffer)?;
            Ok(written as u64)
        })
    }

    fn read_directory(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> Result<Resource<Listing>, FsError> {
        let listing = self.with_file(&handle, |files, file| files.list(file))?;
        self.table.push(listing).map_err(|error| {
            // It was opened before, so it can be closed.
            let _ = self.files.lock().close_listing(listing);
            error.into()
        })
    }

    fn sync(&mut self, handle: Resource<Descriptor>) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| files.stat(file).map(|_| ()))
    }

    fn create_directory_at(
        &mut self,
        handle: Resource<Descriptor>,
        path: String,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| {
            files.create_directory_at(file, &path)
        })
    }

    fn stat(&mut self, handle: Resource<Descriptor>) -> Result<DescriptorStat, FsError> {
        let stat = self.with_file(&handle, |files, file| files.stat(file))?;
        Ok(descriptor_stat(&stat))
    }

    async fn stat_at(
        &mut self,
        handle: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> Result<DescriptorStat, FsError> {
        self.load(&handle, follow(flags), &path, false).await?;
        let stat = self.with_file(&handle, |files, file| {
            files.stat_at(file, follow(flags), &path)
        })?;
        Ok(descriptor_stat(&stat))
    }

    fn set_times_at(
        &mut self,
        handle: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| {
            let (accessed, modified) = (new_time(accessed)?, new_time(modified)?);
            files.set_times_at(file, follow(flags), &path, accessed, modified)
        })
    }

    fn link_at(
        &mut self,
        old: Resource<Descriptor>,
        flags: PathFlags,
        old_path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Result<(), FsError> {
        let new = self.table.get(&new)?.id;
        self.with_file(&old, |files, old| {
            files.link_at(old, follow(flags), &old_path, new, &new_path)
        })
    }

    async fn open_at(
        &mut self,
        handle: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        flags: OpenFlags,
        access: DescriptorFlags,
    ) -> Result<Resource<Descriptor>, FsError> {
        let flags = Open {
            follow: follow(path_flags),
            create: flags.contains(OpenFlags::CREATE),
            exclusive: flags.contains(OpenFlags::EXCLUSIVE),
            directory: flags.contains(OpenFlags::DIRECTORY),
            truncate: flags.contains(OpenFlags::TRUNCATE),
            read: access.contains(DescriptorFlags::READ),
            write: access.contains(DescriptorFlags::WRITE),
        };
        if (flags.read || flags.write) && !flags.truncate {
            self.load(&handle, flags.follow, &path, true).await?;
        }
        let opened = self.with_file(&handle, |files, file| files.open_at(file, &path, flags))?;
        self.hold(opened)
    }

    fn readlink_at(
        &mut self,
        handle: Resource<Descriptor>,
        path: String,
    ) -> Result<String, FsError> {
        self.with_file(&handle, |files, file| files.readlink_at(file, &path))
    }

    fn remove_directory_at(
        &mut self,
        handle: Resource<Descriptor>,
        path: String,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| {
            files.remove_directory_at(file, &path)
        })
    }

    fn rename_at(
        &mut self,
        old: Resource<Descriptor>,
        old_path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Result<(), FsError> {
        let new = self.table.get(&new)?.id;
        self.with_file(&old, |files, old| {
            files.rename_at(old, &old_path, new, &new_path)
        })
    }

    fn symlink_at(
        &mut self,
        handle: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| {
            files.symlink_at(&target, file, &path)
        })
    }

    fn unlink_file_at(
        &mut self,
        handle: Resource<Descriptor>,
        path: String,
    ) -> Result<(), FsError> {
        self.with_file(&handle, |files, file| files.unlink_file_at(file, &path))
    }

    fn is_same_object(
        &mut self,
        handle: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (one, other) = (self.table.get(&handle)?.id, self.table.get(&other)?.id);
        let files = self.files.lock();
        Ok(match (files.stat(one), files.stat(other)) {
            (Ok(one), Ok(other)) => one.identity == other.identity,
            // What cannot be known is not the same.
            _ => false,
        })
    }

    fn metadata_hash(
        &mut self,
        handle: Resource<Descriptor>,
    ) -> Result<MetadataHashValue, FsError> {
        let stat = self.with_file(&handle, |files, file| files.stat(file))?;
        Ok(metadata_hash(&stat))
    }

    fn metadata_hash_at(
        &mut self,
        handle: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue, FsError> {
        // Pitfall: the image's libc asks for the file that stat(2) finds, but never has links
        // followed here. A link would have another inode number than its target, and
        // `shutil.copyfile`, which compares them, would empty a file that it copies to itself.
        let stat = self.with_file(&handle, |files, file| {
            let found = files.stat_at(file, true, &path);
            found.or_else(|_| files.stat_at(file, follow(flags), &path))
        })?;
        Ok(metadata_hash(&stat))
    }

    fn drop(&mut self, handle: Resource<Descriptor>) -> wasmtime::Result<()> {
        let descriptor = self.table.delete(handle)?;
        Ok(self.files.lock().close(descriptor.id)?)
    }
}

impl HostDirectoryEntryStream for StoreState {
    fn read_directory_entry(
        &mut self,
        stream: Resource<Listing>,
    ) -> Result<Option<DirectoryEntry>, FsError> {
        let listing = *self.table.get(&stream)?;
        let entry = self.files.lock().next_entry(listing)?;
        Ok(entry.map(|(name, file_type)| DirectoryEntry {
            type_: descriptor_type(file_type),
            name: name.to_string(),
        }))
    }

    fn drop(&mut self, stream: Resource<Listing>) -> wasmtime::Result<()> {
        let listing = self.table.delete(stream)?;
        Ok(self.files.lock().close_listing(listing)?)
    }
}

/// Links the functions of `wasi:filesystem`, in place of those of wasmtime's WASI that are in the
/// linker.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    preopens::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}
