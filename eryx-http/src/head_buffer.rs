//! Collection of the lines of a head or trailer section.

use memchr::memchr3;

use crate::error::{HttpError, HttpErrorKind};
use crate::limits::Limits;

/// Collects the lines of a head or trailer section up to the empty line.
///
/// Every byte is scanned once and copied once, no matter how the input is split: the search for a
/// line end continues where the previous input ended. Fields are parsed once, after the last line.
/// So the work is linear in the head, and a head that arrives byte by byte costs no more than one
/// that arrives in one piece.
#[derive(Debug, Default)]
pub(crate) struct HeadBuffer {
    bytes: Vec<u8>,
    line_start: usize,
    after_cr: bool,
    field_lines: usize,
    is_first_line_complete: bool,
    #[cfg(test)]
    pub(crate) scanned: usize,
}

/// What ends with the bytes that [`HeadBuffer::push`] took.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More bytes are needed.
    Partial,
    /// The first line.
    FirstLine,
    /// The empty line that ends the section.
    End,
}

impl HeadBuffer {
    /// Returns a buffer for a section without a start line.
    pub(crate) fn of_trailers() -> Self {
        Self {
            is_first_line_complete: true,
            ..Self::default()
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the complete lines, with their line ends.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.bytes[..self.line_start]
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes bytes to the end of the first line or of the section, and returns their number.
    pub(crate) fn push(
        &mut self,
        input: &[u8],
        limits: &Limits,
    ) -> Result<(usize, Progress), HttpError> {
        // One byte more than fits, so that a head that is too long is noticed.
        let room = limits.max_head_bytes() - self.bytes.len();
        let input = &input[..input.len().min(room + 1)];
        let mut at = 0;
        while at < input.len() {
            if self.after_cr {
                if input[at] != b'\n' {
                    return Err(self.error(&input[..at], HttpErrorKind::BareCr));
                }
                at += 1;
                match self.end_line(self.bytes.len() + at, limits)? {
                    Progress::Partial => continue,
                    progress => {
                        self.append(&input[..at], limits)?;
                        return Ok((at, progress));
                    }
                }
            }
            let Some(found) = memchr3(b'\r', b'\n', 0, &input[at..]) else {
                at = input.len();
                break;
            };
            at += found;
            match input[at] {
                b'\r' => self.after_cr = true,
                b'\n' => return Err(self.error(&input[..at], HttpErrorKind::BareLf)),
                _ => return Err(self.error(&input[..at], HttpErrorKind::Nul)),
            }
            at += 1;
        }
        self.append(&input[..at], limits)?;
        Ok((at, Progress::Partial))
    }

    /// Ends a line at `end`, and returns [`Progress::Partial`] if the caller need not know.
    fn end_line(&mut self, end: usize, limits: &Limits) -> Result<Progress, HttpError> {
        let length = end - self.line_start - 2;
        self.after_cr = false;
        self.line_start = end;
        if length == 0 {
            return if self.is_first_line_complete {
                Ok(Progress::End)
            } else {
                Err(HttpErrorKind::EmptyLine.into())
            };
        }
        if self.is_first_line_complete {
            self.field_lines += 1;
            if self.field_lines > limits.max_fields() {
                let limit = limits.max_fields();
                return Err(HttpErrorKind::TooManyFields { limit }.into());
            }
            return Ok(Progress::Partial);
        }
        self.is_first_line_complete = true;
        Ok(Progress::FirstLine)
    }

    fn append(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), HttpError> {
        #[cfg(test)]
        {
            self.scanned += bytes.len();
        }
        let limit = limits.max_head_bytes();
        if self.bytes.len() + bytes.len() > limit {
            return Err(HttpErrorKind::HeadTooLarge { limit }.into());
        }
        // At most `limit` bytes are allocated: `Vec` alone would round up.
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            let capacity = (2 * needed).clamp(MIN_CAPACITY, MIN_CAPACITY.max(limit));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Returns the error of a line that ends with `input`.
    fn error(&self, input: &[u8], kind: HttpErrorKind) -> HttpError {
        let text = [&self.bytes, input].concat();
        HttpError::new(&text[self.line_start..], kind)
    }
}

/// The initial capacity of a buffer, in bytes, which holds most heads.
const MIN_CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_arrives_byte_by_byte_is_scanned_once() {
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        for index in 0..99 {
            head.extend(format!("field-{index}: {}\r\n", "x".repeat(600)).bytes());
        }
        head.extend(b"\r\n");
        let limits = Limits::default();
        let mut buffer = HeadBuffer::default();
        let mut end = Progress::Partial;
        for byte in &head {
            let (taken, progress) = buffer.push(&[*byte], &limits).expect("a valid head");
            assert_eq!(taken, 1);
            end = progress;
        }
        assert_eq!(end, Progress::End);
        assert_eq!(buffer.scanned, head.len());
        assert!(buffer.bytes.capacity() <= Limits::MAX_HEAD_BYTES);
    }

    #[test]
    fn a_head_beyond_the_limit_is_refused_after_limit_bytes() {
        let limits = Limits::default().head_bytes(100).expect("in range");
        let mut buffer = HeadBuffer::default();
        let error = buffer
            .push(&[b'a'; 1 << 20], &limits)
            .expect_err("too long");
        assert_eq!(*error.kind(), HttpErrorKind::HeadTooLarge { limit: 100 });
        assert_eq!(buffer.scanned, 101);
    }
}
