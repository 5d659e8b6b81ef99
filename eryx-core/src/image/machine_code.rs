#![allow(unsafe_code, reason = "loading machine code; see each block")]
//! Machine code that engines can load. The one place with `unsafe`.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::host_resource::HostResourceError;
#[cfg(target_os = "linux")]
use crate::host_resource::{HostResource, check_file_size};

/// Machine code this host made, where nobody can change it.
///
/// On Linux it is a file: instances share the image's pages and copy only those they write to. One that is in memory has
/// no name another process could open, and is sealed against changes; one on a disk is such that only this user could
/// change it.
#[derive(Debug)]
pub(super) struct Code {
    #[cfg(target_os = "linux")]
    file: std::fs::File,
    /// The file's device and number there.
    #[cfg(target_os = "linux")]
    identity: (u64, u64),
    #[cfg(not(target_os = "linux"))]
    bytes: Vec<u8>,
}

impl Code {
    /// Keep `code`, which has to be what `Engine::precompile_component` returned: when this program was built, whose
    /// part it is, or for this user, in a cache only this user can write to and whose digest is checked when it is read.
    #[cfg(target_os = "linux")]
    pub(super) fn seal(code: &[u8]) -> wasmtime::Result<Self> {
        use std::io::Write;

        check_file_size(code.len())?;
        let file = memfd::MemfdOptions::default()
            .allow_sealing(true)
            .create("eryx-guest")?;
        file.as_file().write_all(code)?;
        file.add_seals(&[
            memfd::FileSeal::SealShrink,
            memfd::FileSeal::SealGrow,
            memfd::FileSeal::SealWrite,
            memfd::FileSeal::SealSeal,
        ])?;
        Self::of(file.into_file())
    }

    #[cfg(target_os = "linux")]
    fn of(file: std::fs::File) -> wasmtime::Result<Self> {
        let identity = identity(&file)?;
        Ok(Self { file, identity })
    }

    /// Checks that the descriptor is still that of the file. A process that becomes a daemon closes every descriptor
    /// there is, those of the engine as well; a file that is opened later may have their numbers, and its content would be
    /// taken for the memory of a guest.
    ///
    /// # Errors
    ///
    /// When the descriptor was closed.
    #[cfg(target_os = "linux")]
    pub(super) fn check(&self) -> Result<(), HostResourceError> {
        if identity(&self.file).is_ok_and(|found| found == self.identity) {
            return Ok(());
        }
        Err(HostResourceError::new(
            HostResource::FileDescriptors,
            "another part of this process closed those that sandboxes use, as one does that becomes a daemon; let it \
             become one before the first sandbox is made",
        ))
    }

    /// There is no descriptor.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn check(&self) -> Result<(), HostResourceError> {
        Ok(())
    }

    /// Have it mapped from `file`, whose pages all processes that do so share.
    ///
    /// # Safety
    ///
    /// The file has to begin with what `Engine::precompile_component` returned for this user, and nobody else may be able
    /// to write to it, now or later.
    #[cfg(target_os = "linux")]
    pub(super) unsafe fn map(file: std::fs::File) -> wasmtime::Result<Self> {
        Self::of(file)
    }

    /// As on Linux.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn seal(code: &[u8]) -> wasmtime::Result<Self> {
        Ok(Self {
            bytes: code.to_vec(),
        })
    }

    /// What is in the file at `path`, whose pages all processes that use it share.
    ///
    /// # Safety
    ///
    /// As for [`set_precompiled_path`](super::set_precompiled_path).
    #[cfg(all(target_os = "linux", feature = "embedded-image"))]
    pub(super) unsafe fn open(path: &std::path::Path) -> wasmtime::Result<Self> {
        Self::of(std::fs::File::open(path)?)
    }

    /// As on Linux.
    ///
    /// # Safety
    ///
    /// As for [`set_precompiled_path`](super::set_precompiled_path).
    #[cfg(all(not(target_os = "linux"), feature = "embedded-image"))]
    pub(super) unsafe fn open(path: &std::path::Path) -> wasmtime::Result<Self> {
        Ok(Self {
            bytes: std::fs::read(path)?,
        })
    }

    /// Load it into `engine`.
    #[cfg(target_os = "linux")]
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::FileExt;
        use std::path::PathBuf;

        let path = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        if path.exists() {
            // SAFETY: the file holds what a compiler of this engine's kind made, as `seal`, `map` and `open` demand, and
            // its seals, its mode or whoever named it keep it as it is.
            return unsafe { Component::deserialize_file(engine, &path) };
        }
        // Without /proc there is no such name. A copy is the same, but that processes do not share it.
        let size = self.file.metadata()?.len();
        let mut code = vec![0; usize::try_from(size)?];
        self.file.read_exact_at(&mut code, 0)?;
        // SAFETY: as above.
        unsafe { Component::deserialize(engine, code) }
    }

    /// Load it into `engine`.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: as on Linux, but that nothing else has the bytes.
        unsafe { Component::deserialize(engine, &self.bytes) }
    }
}

/// Returns the device of a file and its number there.
#[cfg(target_os = "linux")]
fn identity(file: &std::fs::File) -> wasmtime::Result<(u64, u64)> {
    let found = rustix::fs::fstat(file)?;
    Ok((found.st_dev, found.st_ino))
}

#[cfg(test)]
impl Code {
    /// What was kept, and what lies behind it in the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::FileExt;

            let size = self.file.metadata().expect("readable").len();
            let mut bytes = vec![0; usize::try_from(size).expect("it fits")];
            self.file.read_exact_at(&mut bytes, 0).expect("readable");
            bytes
        }
        #[cfg(not(target_os = "linux"))]
        self.bytes.clone()
    }

    /// Whether it is in memory, where nobody can change it.
    #[cfg(target_os = "linux")]
    pub(super) fn is_sealed(&self) -> bool {
        let file = self.file.try_clone().expect("cloned");
        memfd::Memfd::try_from_file(file).is_ok_and(|file| {
            let seals = file.seals().expect("readable");
            seals.contains(&memfd::FileSeal::SealWrite)
        })
    }
}

#[cfg(all(test, feature = "embedded-machine-code"))]
mod tests {
    use super::super::embedded::CWASM;
    use super::*;
    use crate::engine;

    /// Trap: features of the build machine's processor baked into the machine code.
    #[test]
    fn the_machine_code_loads_on_the_plainest_processor_of_its_architecture() {
        let mut config = engine::baseline_config().expect("a compiler");
        // SAFETY: what is loaded is never run.
        unsafe { config.detect_host_feature(|_| Some(false)) };
        let plain = Engine::new(&config).expect("an engine");
        // SAFETY: as in `Code::load`.
        unsafe { Component::deserialize(&plain, CWASM) }.expect("it asks for nothing special");
        // What is compiled for the processor at hand is refused there, wherever that one has more to offer.
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx") {
            let native = engine::plain()
                .expect("an engine")
                .precompile_component(b"\0asm\x0d\0\x01\0")
                .expect("compiled");
            // SAFETY: as above.
            let refused = unsafe { Component::deserialize(&plain, native) };
            let reason = format!("{:#}", refused.expect_err("refused"));
            assert!(reason.contains("not available on the host"), "{reason}");
        }
    }
}
