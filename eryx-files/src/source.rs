//! Content that an embedder provides.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};

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

/// The original content of a file.
#[derive(Clone, Debug)]
pub(crate) enum Original {
    Bytes(Bytes),
    Source(Arc<dyn Source>),
}

impl Original {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source(source) => source.size(),
        }
    }

    /// Fills the buffer with the bytes from `offset` on. All of them are within the size.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).map_err(|_| Error::Io)?;
                let end = start.checked_add(buffer.len()).ok_or(Error::Io)?;
                buffer.copy_from_slice(bytes.get(start..end).ok_or(Error::Io)?);
            }
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
