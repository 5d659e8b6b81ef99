//! The streams that read and write an open file.

use bytes::Bytes;
use eryx_files::Limits;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::files::SharedFiles;
use crate::imports::filesystem::descriptor::Position;

/// The most bytes that one call of the guest reads. The image calls again for more
/// (`eryx-guest-shims/file_reads.wat`). For larger pieces the allocator maps pages, which the
/// kernel clears: that takes several times as long as to copy them.
const MAX_READ: usize = 64 << 10;

/// Reads an open file from its position on.
pub(super) struct ReadStream {
    pub(super) files: SharedFiles,
    pub(super) file: eryx_files::Descriptor,
    pub(super) position: Position,
}

#[wasmtime_wasi::async_trait]
impl InputStream for ReadStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let files = self.files.lock();
        let size_read = size.min(MAX_READ) as u64;
        let read = files.read(self.file, self.position.get(), size_read);
        let bytes = read.map_err(failed)?;
        if bytes.is_empty() && size > 0 {
            return Err(StreamError::Closed);
        }
        self.position.advance(bytes.len());
        Ok(bytes)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.read(size)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for ReadStream {
    async fn ready(&mut self) {}
}

/// Writes an open file from its position on, or at its end.
pub(super) struct WriteStream {
    pub(super) files: SharedFiles,
    pub(super) file: eryx_files::Descriptor,
    pub(super) position: Position,
    pub(super) appends: bool,
}

impl WriteStream {
    fn offset(&self) -> Option<u64> {
        (!self.appends).then(|| self.position.get())
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for WriteStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > Limits::MAX_TRANSFER {
            let error = wasmtime::Error::msg("a write is larger than `check-write` permits");
            return Err(StreamError::Trap(error));
        }
        let mut files = self.files.lock();
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = match self.offset() {
                Some(offset) => files.write(self.file, offset, &rest),
                None => files.append(self.file, &rest),
            };
            let written = written.map_err(failed)?;
            let _ = rest.split_to(written);
            self.position.advance(written);
        }
        if self.appends {
            self.position
                .set(files.stat(self.file).map_err(failed)?.size);
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    /// Returns how many bytes fit, so that a program writes these before it gets the error.
    fn check_write(&mut self) -> StreamResult<usize> {
        let files = self.files.lock();
        files
            .room(self.file, self.offset(), Limits::MAX_TRANSFER)
            .map_err(failed)
    }

    /// Returns at once. The guest waits for this after a write.
    ///
    /// Regression: with the error of [`check_write`](Self::check_write), a write that used up the
    /// budget failed after all of its bytes were written.
    async fn write_ready(&mut self) -> StreamResult<usize> {
        Ok(Limits::MAX_TRANSFER)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for WriteStream {
    async fn ready(&mut self) {}
}

fn failed(error: eryx_files::Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use eryx_files::{Error, Layout, OpenFlags, Timestamp};
    use eryx_sync::Mutex;

    use super::*;
    use crate::imports::filesystem::descriptor::Descriptor;

    /// Returns an empty file of a guest that may store 1,000,000 bytes.
    fn file() -> (SharedFiles, Descriptor) {
        let limits = Limits::default().with_max_file_bytes(1_000_000);
        let layout = Layout::builder(Timestamp::default()).build();
        let mut files = layout.start(limits.expect("a limit"), Timestamp::default);
        let root = files.open_root().expect("the root");
        let flags = OpenFlags {
            create: true,
            read: true,
            write: true,
            ..OpenFlags::default()
        };
        let file = files.open_at(root, "file", flags).expect("a file");
        (Arc::new(Mutex::new(files)), Descriptor::new(file))
    }

    fn read_stream(files: &SharedFiles, descriptor: &Descriptor, offset: u64) -> ReadStream {
        ReadStream {
            files: Arc::clone(files),
            file: descriptor.id,
            position: descriptor.position_at(offset),
        }
    }

    fn write_stream(
        files: &SharedFiles,
        descriptor: &Descriptor,
        offset: Option<u64>,
    ) -> WriteStream {
        WriteStream {
            files: Arc::clone(files),
            file: descriptor.id,
            position: offset.map_or_else(
                || descriptor.position(),
                |offset| descriptor.position_at(offset),
            ),
            appends: offset.is_none(),
        }
    }

    fn error_of(error: StreamError) -> Option<Error> {
        match error {
            StreamError::LastOperationFailed(error) => error.downcast_ref().copied(),
            StreamError::Trap(_) | StreamError::Closed => None,
        }
    }

    #[test]
    fn a_stream_returns_the_rest_of_the_file_and_then_ends() {
        let (files, file) = file();
        let mut writer = write_stream(&files, &file, Some(0));
        writer
            .write(Bytes::from_static(b"content"))
            .expect("written");
        let mut stream = read_stream(&files, &file, 3);
        assert_eq!(stream.read(0).expect("nothing"), "");
        assert_eq!(stream.read(2).expect("read"), "te");
        assert_eq!(stream.read(usize::MAX).expect("read"), "nt");
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
        for past_end in [7, 8, u64::MAX] {
            let read = read_stream(&files, &file, past_end).read(1);
            assert!(matches!(read, Err(StreamError::Closed)), "{past_end}");
        }
    }

    #[test]
    fn the_streams_of_a_file_have_one_position() {
        let (files, file) = file();
        let mut writer = write_stream(&files, &file, Some(0));
        writer
            .write(Bytes::from_static(b"0123456789"))
            .expect("written");
        let mut reader = read_stream(&files, &file, 2);
        assert_eq!(reader.read(3).expect("read"), "234");
        writer.write(Bytes::from_static(b"xx")).expect("written");
        assert_eq!(reader.read(10).expect("read"), "789");
        let mut appender = write_stream(&files, &file, None);
        let mut reader = read_stream(&files, &file, 0);
        appender.write(Bytes::from_static(b"yy")).expect("written");
        assert!(matches!(reader.read(1), Err(StreamError::Closed)));
        let mut reader = read_stream(&files, &file, 0);
        assert_eq!(reader.read(20).expect("read"), "01234xx789yy");
    }

    #[test]
    fn a_full_budget_ends_writes_with_what_fits_and_then_with_an_error() {
        let (files, file) = file();
        let mut writer = write_stream(&files, &file, Some(0));
        let mut written = 0;
        let error = loop {
            match writer.check_write() {
                Ok(room) => {
                    writer.write(vec![1; room].into()).expect("it fits");
                    written += room;
                }
                Err(error) => break error,
            }
        };
        assert_eq!(
            (written, error_of(error)),
            (1_000_000, Some(Error::NoSpace))
        );
        // What was written is no failure of the flush that follows.
        writer.flush().expect("flushed");
        let flushed = {
            let mut flush = writer.write_ready();
            let mut context = Context::from_waker(Waker::noop());
            flush.as_mut().poll(&mut context)
        };
        assert!(matches!(flushed, Poll::Ready(Ok(_))));
        let error = writer.write(vec![1].into()).expect_err("it does not fit");
        assert_eq!(error_of(error), Some(Error::NoSpace));
        // Bytes that exist can be overwritten.
        let mut writer = write_stream(&files, &file, Some(999_990));
        assert_eq!(writer.check_write().expect("some"), 10);
        let error = writer.write(vec![1; Limits::MAX_TRANSFER + 1].into());
        assert!(matches!(error, Err(StreamError::Trap(_))));
    }

    #[test]
    fn the_streams_of_a_closed_file_fail() {
        let (files, file) = file();
        let mut writer = write_stream(&files, &file, Some(0));
        let mut reader = read_stream(&files, &file, 0);
        files.lock().close(file.id).expect("closed");
        let error = reader.read(1).expect_err("closed");
        assert_eq!(error_of(error), Some(Error::BadDescriptor));
        let error = writer.check_write().expect_err("closed");
        assert_eq!(error_of(error), Some(Error::BadDescriptor));
    }
}
