//! Machine code of a component, stored where it cannot change, for engines to load.
#![allow(unsafe_code, reason = "loading machine code; see each block")]

use std::fs::File;
use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::Error;
use crate::host_resource::HostResourceError;
#[cfg(target_os = "linux")]
use crate::host_resource::{HostResource, check_file_size};
use crate::session_snapshot::Digest;

/// The seals of a file that cannot change.
#[cfg(target_os = "linux")]
const SEALS: [memfd::FileSeal; 4] = [
    memfd::FileSeal::SealShrink,
    memfd::FileSeal::SealGrow,
    memfd::FileSeal::SealWrite,
    memfd::FileSeal::SealSeal,
];

/// Machine code that was compiled on this machine, where no other user can change it.
///
/// On Linux it is an open file: instances share the image's pages and copy only those they write
/// to. A file in memory has no name that another process could open, and is sealed against changes;
/// a file on a disk is one that only this user could change.
#[derive(Debug)]
pub(super) struct MachineCode {
    /// The SHA-256 digest of the code, if it is known.
    digest: Option<Digest>,
    #[cfg(target_os = "linux")]
    file: File,
    /// The device and inode of the file.
    #[cfg(target_os = "linux")]
    identity: (u64, u64),
    #[cfg(not(target_os = "linux"))]
    bytes: Vec<u8>,
}

impl MachineCode {
    /// Copies `code`, which must be the result of `Engine::precompile_component`: embedded in this
    /// program when it was built, or compiled for this user and read from a cache that only this
    /// user can write to, with its digest verified.
    pub(super) fn from_bytes(code: &[u8]) -> Result<Self, Error> {
        Self::copy(code).map_err(load_error)
    }

    #[cfg(target_os = "linux")]
    fn copy(code: &[u8]) -> wasmtime::Result<Self> {
        use std::io::Write;

        check_file_size(code.len())?;
        let file = memfd::MemfdOptions::default()
            .allow_sealing(true)
            .create("eryx-guest")?;
        file.as_file().write_all(code)?;
        seal(&file)?;
        Self::from_file(file.into_file())
    }

    #[cfg(not(target_os = "linux"))]
    fn copy(code: &[u8]) -> wasmtime::Result<Self> {
        Ok(Self {
            digest: None,
            bytes: code.to_vec(),
        })
    }

    /// Maps `file`. All processes that map it share its pages.
    ///
    /// # Safety
    ///
    /// The file must begin with the result of `Engine::precompile_component` for this user, and no
    /// other user may be able to write to it, now or later.
    #[cfg(target_os = "linux")]
    pub(super) unsafe fn from_cache_file(file: File) -> wasmtime::Result<Self> {
        Self::from_file(file)
    }

    /// Maps the file at `path`, whose pages all processes that use it share. Systems other than
    /// Linux read it.
    ///
    /// # Safety
    ///
    /// As for [`set_precompiled_path`](super::set_precompiled_path).
    #[cfg(feature = "embedded-image")]
    pub(super) unsafe fn from_path(path: &Path) -> wasmtime::Result<Self> {
        #[cfg(target_os = "linux")]
        return Self::from_file(File::open(path)?);
        #[cfg(not(target_os = "linux"))]
        Self::copy(&std::fs::read(path)?)
    }

    #[cfg(target_os = "linux")]
    fn from_file(file: File) -> wasmtime::Result<Self> {
        let identity = identity(&file)?;
        Ok(Self {
            digest: None,
            file,
            identity,
        })
    }

    /// Sets the SHA-256 digest of the code.
    pub(super) fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Returns the SHA-256 digest of the code, if it is known.
    pub(super) fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Checks that the descriptor still refers to the file. A process that becomes a daemon closes
    /// every descriptor, those of the engine as well; a file opened later may get their numbers,
    /// and its content would become the memory of a guest.
    ///
    /// # Errors
    ///
    /// When the descriptor was closed.
    #[cfg(target_os = "linux")]
    pub(super) fn check_descriptor(&self) -> Result<(), HostResourceError> {
        if identity(&self.file).is_ok_and(|found| found == self.identity) {
            return Ok(());
        }
        Err(HostResourceError::new(
            HostResource::FileDescriptors,
            "other code in this process closed those that sandboxes use; a process that becomes a \
             daemon has to do that before it makes its first sandbox",
        ))
    }

    /// Does nothing: there is no descriptor.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn check_descriptor(&self) -> Result<(), HostResourceError> {
        Ok(())
    }

    /// Loads the code into `engine`.
    pub(super) fn load(&self, engine: &Engine) -> Result<Component, Error> {
        self.deserialize(engine).map_err(load_error)
    }

    #[cfg(target_os = "linux")]
    fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Component> {
        use std::os::fd::AsRawFd;

        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let path = Path::new(&path);
        if path.exists() {
            // SAFETY: the file has the result of a compiler of this engine's kind, as `from_bytes`,
            // `from_cache_file` and `from_path` require, and its seals, its mode or the user who
            // named it keep it unchanged.
            return unsafe { Component::deserialize_file(engine, path) };
        }
        // Without /proc the file has no path. A copy works too, but processes do not share it.
        // SAFETY: as above.
        unsafe { Component::deserialize(engine, read_all(&self.file)?) }
    }

    #[cfg(not(target_os = "linux"))]
    fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: as on Linux, except that nothing else has the bytes.
        unsafe { Component::deserialize(engine, &self.bytes) }
    }
}

fn load_error(error: wasmtime::Error) -> Error {
    Error::image("it cannot be loaded", error)
}

/// Forbids every change of a file in memory. The kernel refuses that with EBUSY while anything else
/// uses a page of the file, as it does itself when it moves pages: this waits for a few seconds.
#[cfg(target_os = "linux")]
fn seal(file: &memfd::Memfd) -> Result<(), memfd::Error> {
    use std::io::ErrorKind;
    use std::thread;
    use std::time::Duration;

    const ATTEMPTS: usize = 20;
    const INTERVAL: Duration = Duration::from_millis(50);
    for _ in 1..ATTEMPTS {
        match file.add_seals(&SEALS) {
            Err(memfd::Error::AddSeals(error)) if error.kind() == ErrorKind::ResourceBusy => {
                thread::sleep(INTERVAL);
            }
            sealed => return sealed,
        }
    }
    file.add_seals(&SEALS)
}

/// Returns the device and inode of a file.
#[cfg(target_os = "linux")]
fn identity(file: &File) -> wasmtime::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

#[cfg(target_os = "linux")]
fn read_all(file: &File) -> wasmtime::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;

    let size = file.metadata()?.len();
    let mut bytes = vec![0; usize::try_from(size)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
impl MachineCode {
    /// Returns the code, and the bytes after it in the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        #[cfg(target_os = "linux")]
        return read_all(&self.file).expect("readable");
        #[cfg(not(target_os = "linux"))]
        self.bytes.clone()
    }

    /// Returns whether the code is in memory and sealed.
    #[cfg(target_os = "linux")]
    pub(super) fn is_sealed(&self) -> bool {
        let file = self.file.try_clone().expect("cloned");
        memfd::Memfd::try_from_file(file).is_ok_and(|file| {
            let seals = file.seals().expect("readable");
            seals.contains(&memfd::FileSeal::SealWrite)
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsRawFd;
    use std::ptr::null_mut;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A page of a file, which can be written to while this exists.
    struct Page(usize);

    impl Page {
        const SIZE: usize = 4096;

        fn map(file: &File) -> Self {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let fd = file.as_raw_fd();
            // SAFETY: the kernel chooses the address, so nothing else is there.
            let page = unsafe { libc::mmap(null_mut(), Self::SIZE, prot, libc::MAP_SHARED, fd, 0) };
            assert_ne!(page, libc::MAP_FAILED);
            Self(page as usize)
        }
    }

    impl Drop for Page {
        fn drop(&mut self) {
            // SAFETY: nothing refers to the page.
            assert_eq!(unsafe { libc::munmap(self.0 as *mut _, Self::SIZE) }, 0);
        }
    }

    #[test]
    fn a_file_whose_pages_are_in_use_is_sealed_once_they_are_not() {
        let file = memfd::MemfdOptions::default()
            .allow_sealing(true)
            .create("test")
            .expect("made");
        file.as_file().set_len(Page::SIZE as u64).expect("set");
        let page = Page::map(file.as_file());
        file.add_seals(&SEALS).expect_err("the page is in use");
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                drop(page);
            });
            seal(&file).expect("sealed");
        });
        file.as_file().set_len(0).expect_err("sealed");
    }
}
