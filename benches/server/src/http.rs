//! The HTTP server loop: `GET /bytes/N` is answered with N bytes, and request bodies are discarded.

use std::io::{self, ErrorKind, Read, Write};

/// Serves requests until the client closes the connection.
pub(crate) fn serve(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = vec![0; MAX_HEAD];
    let mut filled = 0;
    loop {
        let Some(end) = end_of_head(&buffer[..filled]) else {
            if filled == buffer.len() {
                return Err(ErrorKind::InvalidData.into());
            }
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                count => filled += count,
            }
            continue;
        };
        let request = Request::parse(&buffer[..end]).ok_or(ErrorKind::InvalidData)?;
        let buffered = (filled - end).min(request.body_len);
        buffer.copy_within(end + buffered..filled, 0);
        filled -= end + buffered;
        discard_body(&mut stream, request.body_len - buffered)?;
        respond(&mut stream, request.response_len)?;
    }
}

/// The relevant fields of a request.
struct Request {
    /// Bytes of the response body.
    response_len: usize,
    /// Bytes of the request body.
    body_len: usize,
}

impl Request {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = str::from_utf8(text).ok()?.lines();
        let path = lines.next()?.split(' ').nth(1)?;
        let response_len = path.strip_prefix("/bytes/")?.parse().ok()?;
        let body_len = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        Some(Self {
            response_len,
            body_len: body_len.unwrap_or(0),
        })
    }
}

fn end_of_head(text: &[u8]) -> Option<usize> {
    let start = text.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(start + 4)
}

fn discard_body(stream: &mut impl Read, mut left: usize) -> io::Result<()> {
    if left == 0 {
        return Ok(());
    }
    let mut buffer = vec![0; MAX_CHUNK];
    while left > 0 {
        let limit = left.min(MAX_CHUNK);
        match stream.read(&mut buffer[..limit])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => left -= count,
        }
    }
    Ok(())
}

fn respond(stream: &mut impl Write, mut left: usize) -> io::Result<()> {
    static BODY: [u8; MAX_CHUNK] = [b'x'; MAX_CHUNK];
    let mut head = format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n").into_bytes();
    // Write the head and the start of the body together: a small response is one segment.
    let count = left.min(MAX_CHUNK);
    head.extend_from_slice(&BODY[..count]);
    stream.write_all(&head)?;
    left -= count;
    while left > 0 {
        let count = left.min(MAX_CHUNK);
        stream.write_all(&BODY[..count])?;
        left -= count;
    }
    stream.flush()
}

/// The maximum length of the head of a request, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The maximum length of one read or write of a body, in bytes.
const MAX_CHUNK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with a given input, which stores its output.
    struct StubStream<'a> {
        input: &'a [u8],
        output: Vec<u8>,
    }

    impl Read for StubStream<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // Short reads, as a network may deliver them.
            let count = self.input.len().min(buffer.len()).min(7);
            self.input.read(&mut buffer[..count])
        }
    }

    impl Write for StubStream<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.output.write(data)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_request_of_a_connection_gets_a_body_of_the_requested_length() {
        let mut stub = StubStream {
            input: b"GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\nPOST /bytes/1 HTTP/1.1\r\ncontent-length: 20\r\n\r\n\
                     01234567890123456789GET /bytes/0 HTTP/1.1\r\n\r\n",
            output: Vec::new(),
        };
        serve(&mut stub).expect("orderly end");
        let expected = [(3, "xxx"), (1, "x"), (0, "")]
            .map(|(n, body)| format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n{body}"));
        assert_eq!(String::from_utf8_lossy(&stub.output), expected.concat());
    }

    #[test]
    fn a_response_longer_than_a_chunk_is_complete() {
        let mut output = Vec::new();
        respond(&mut output, 3 * MAX_CHUNK + 1).expect("it fits");
        let end = end_of_head(&output).expect("it has a head");
        assert_eq!(output.len() - end, 3 * MAX_CHUNK + 1);
    }
}
