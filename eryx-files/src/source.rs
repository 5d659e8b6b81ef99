//! Content that an embedder provides.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use eryx_sync::ProcessLock;

use crate::error::{Error, Result};
use crate::loading::{LoadId, Loading};

/// Content that is read when a program asks for it.
///
/// All sandboxes that start from one [`Layout`](crate::Layout) share it. It never changes: a
/// program that writes to such a file changes a copy of the block that it writes to.
pub trait Source: Send + Sync + fmt::Debug {
    /// Returns the number of bytes. It is always the same.
    fn size(&self) -> u64;

    /// Reads bytes from `offset` on into the start of `buffer`, and returns their number. `offset`
    /// and the length of the buffer are within the size. The program waits for the function, on the
    /// thread that runs it.
    ///
    /// # Errors
    ///
    /// The program gets EIO for any error, and for 0.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Content that is provided as a whole when it is first needed, by a function that is called once.
///
/// All sandboxes that start from one [`Layout`](crate::Layout) share it. A failure is final: the
/// program gets EIO whenever it reads the file.
///
/// [Loading](Self::load) can take long. A caller that must not block uses
/// [`FileSystem::unloaded_at`](crate::FileSystem::unloaded_at) for the content that an operation
/// would need, and loads it on another thread. Otherwise the first read loads it.
pub struct Deferred {
    id: LoadId,
    size: Option<u64>,
    begin: Box<Begin>,
    content: OnceLock<Result<Bytes>>,
    /// Held while the content is loaded. A process that is forked meanwhile loads it itself.
    loading: ProcessLock,
}

type Begin = dyn Fn() -> Provide + Send + Sync;

/// Returns the content.
type Provide = Box<dyn FnOnce() -> io::Result<Bytes> + Send>;

impl Deferred {
    /// Returns the content that `provide` returns. If `size` is given, it has this many bytes, and
    /// programs see the size before it is loaded.
    pub fn new(
        size: Option<u64>,
        provide: impl Fn() -> io::Result<Bytes> + Send + Sync + 'static,
    ) -> Self {
        let provide = Arc::new(provide);
        Self::in_two_steps(size, move || {
            let provide = Arc::clone(&provide);
            Box::new(move || provide())
        })
    }

    /// Returns the content that the result of `begin` returns. `begin` is called where the content
    /// is needed, also more than once, and its result, once, where it is loaded.
    pub fn in_two_steps(
        size: Option<u64>,
        begin: impl Fn() -> Box<dyn FnOnce() -> io::Result<Bytes> + Send> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: LoadId::new(),
            size,
            begin: Box::new(begin),
            content: OnceLock::new(),
            loading: ProcessLock::new(),
        }
    }

    /// Returns the content. The first call calls the function that provides it, and others wait for
    /// that.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the function fails, or does not return as many bytes as it has to, and
    /// [`Error::Deadlock`] if that needs the content that this is called for.
    pub fn load(&self) -> Result<&Bytes, Error> {
        self.load_with(&Loading::current(), || (self.begin)())
    }

    /// Returns what [loads](Self::load) the content on another thread, for the code that calls
    /// this.
    pub fn begin_load(
        self: &Arc<Self>,
    ) -> impl FnOnce() -> Result<(), Error> + Send + 'static + use<> {
        let (this, loading, provide) = (Arc::clone(self), Loading::current(), (self.begin)());
        move || this.load_with(&loading, || provide).map(drop)
    }

    fn load_with(
        &self,
        loading: &Loading,
        provide: impl FnOnce() -> Provide,
    ) -> Result<&Bytes, Error> {
        let _need = match self.is_loaded() {
            true => None,
            false => Some(loading.begin_need(self.id).ok_or(Error::Deadlock)?),
        };
        let load = || {
            let provided = loading.and(self.id).run(provide());
            let provided = provided.map_err(|_| Error::Io)?;
            let length = provided.len() as u64;
            if self.size.is_some_and(|size| size != length) {
                return Err(Error::Io);
            }
            Ok(provided)
        };
        if !self.is_loaded() {
            let _loading = self.loading.lock();
            if !self.is_loaded() {
                // Nothing else sets it while the lock is held.
                let _ = self.content.set(load());
            }
        }
        let content = self.content.get().ok_or(Error::Io)?;
        content.as_ref().map_err(|error| *error)
    }

    /// Returns whether the content is loaded, or cannot be.
    pub fn is_loaded(&self) -> bool {
        self.content.get().is_some()
    }

    pub(crate) fn has_content(&self) -> bool {
        matches!(self.content.get(), Some(Ok(_)))
    }

    /// Returns the size, if it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        let loaded = || Some(self.content.get()?.as_ref().ok()?.len() as u64);
        self.size.or_else(loaded)
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred")
            .field("size", &self.size())
            .field("is_loaded", &self.is_loaded())
            .finish_non_exhaustive()
    }
}

/// The original content of a file.
#[derive(Clone, Debug)]
pub(crate) enum Original {
    Bytes(Bytes),
    Source(Arc<dyn Source>),
    Deferred(Arc<Deferred>),
}

impl Original {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source(source) => source.size(),
            Self::Deferred(deferred) => deferred.size().unwrap_or(0),
        }
    }

    /// Fills the buffer with the bytes from `offset` on. All of them are within the size.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        match self {
            Self::Bytes(bytes) => copy(bytes, offset, buffer)?,
            Self::Deferred(deferred) => copy(deferred.load()?, offset, buffer)?,
            Self::Source(source) => {
                let mut done = 0;
                while done < buffer.len() {
                    let rest = &mut buffer[done..];
                    let read = source.read_at(offset + done as u64, rest);
                    match read {
                        Ok(read) if (1..=rest.len()).contains(&read) => done += read,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Ok(_) | Err(_) => return Err(Error::Io),
                    }
                }
            }
        }
        Ok(())
    }
}

fn copy(bytes: &Bytes, offset: u64, buffer: &mut [u8]) -> Result<()> {
    let start = usize::try_from(offset).map_err(|_| Error::Io)?;
    let end = start.checked_add(buffer.len()).ok_or(Error::Io)?;
    buffer.copy_from_slice(bytes.get(start..end).ok_or(Error::Io)?);
    Ok(())
}
