//! The stream of a file's content from an offset on.

use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

/// The most bytes that one read returns. A program that wants more reads again.
pub(super) const MAX_READ: usize = 256 << 10;

/// The rest of a file's content.
pub(super) struct FileStream {
    rest: Bytes,
}

impl FileStream {
    /// Returns the stream that begins at `offset`, which may be past the end.
    pub(super) fn new(content: &Bytes, offset: u64) -> Self {
        let start = usize::try_from(offset).map_or(content.len(), |at| at.min(content.len()));
        Self {
            rest: content.slice(start..),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for FileStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.rest.is_empty() && size > 0 {
            return Err(StreamError::Closed);
        }
        Ok(self.rest.split_to(size.min(MAX_READ).min(self.rest.len())))
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.read(size)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for FileStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_returns_the_rest_of_the_file_and_then_ends() {
        let content = Bytes::from_static(b"content");
        let mut stream = FileStream::new(&content, 3);
        assert_eq!(stream.read(0).expect("nothing"), "");
        assert_eq!(stream.read(2).expect("read"), "te");
        assert_eq!(stream.read(usize::MAX).expect("read"), "nt");
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
        for past_end in [7, 8, u64::MAX] {
            let read = FileStream::new(&content, past_end).read(1);
            assert!(matches!(read, Err(StreamError::Closed)), "{past_end}");
        }
    }

    #[test]
    fn one_read_returns_at_most_max_read_bytes_of_a_large_file() {
        let mut stream = FileStream::new(&Bytes::from(vec![0; MAX_READ + 1]), 0);
        assert_eq!(stream.read(usize::MAX).expect("read").len(), MAX_READ);
        assert_eq!(stream.read(usize::MAX).expect("read").len(), 1);
    }
}
