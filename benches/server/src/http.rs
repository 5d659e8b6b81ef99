//! Requests and answers: `GET /bytes/N` is answered with N bytes, and what a request sends is counted and thrown away.

use std::io::{self, ErrorKind, Read, Write};

/// Answer until the client leaves.
pub(crate) fn serve(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = vec![0; HEAD];
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
        let head = Head::of(&buffer[..end]).ok_or(ErrorKind::InvalidData)?;
        let had = (filled - end).min(head.sent);
        buffer.copy_within(end + had..filled, 0);
        filled -= end + had;
        take(&mut stream, head.sent - had)?;
        answer(&mut stream, head.wanted)?;
    }
}

/// What matters of a request.
struct Head {
    /// Bytes asked for.
    wanted: usize,
    /// Bytes that follow.
    sent: usize,
}

impl Head {
    fn of(text: &[u8]) -> Option<Self> {
        let mut lines = str::from_utf8(text).ok()?.lines();
        let path = lines.next()?.split(' ').nth(1)?;
        let wanted = path.strip_prefix("/bytes/")?.parse().ok()?;
        let sent = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        Some(Self {
            wanted,
            sent: sent.unwrap_or(0),
        })
    }
}

fn end_of_head(text: &[u8]) -> Option<usize> {
    let at = text.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

fn take(stream: &mut impl Read, mut left: usize) -> io::Result<()> {
    if left == 0 {
        return Ok(());
    }
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        let limit = left.min(PIECE);
        match stream.read(&mut buffer[..limit])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => left -= count,
        }
    }
    Ok(())
}

fn answer(stream: &mut impl Write, mut left: usize) -> io::Result<()> {
    static BODY: [u8; PIECE] = [b'x'; PIECE];
    let mut first = format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n").into_bytes();
    // Head and body in one segment, where they fit.
    let with = left.min(PIECE);
    first.extend_from_slice(&BODY[..with]);
    stream.write_all(&first)?;
    left -= with;
    while left > 0 {
        let count = left.min(PIECE);
        stream.write_all(&BODY[..count])?;
        left -= count;
    }
    stream.flush()
}

/// The longest head.
const HEAD: usize = 8 * 1024;

/// The most that is read or written at a time.
const PIECE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of given input, which keeps what is written.
    struct Stub<'a> {
        input: &'a [u8],
        output: Vec<u8>,
    }

    impl Read for Stub<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // In small pieces, as a network may deliver them.
            let count = self.input.len().min(buffer.len()).min(7);
            self.input.read(&mut buffer[..count])
        }
    }

    impl Write for Stub<'_> {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.output.write(data)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_on_one_connection_are_answered_with_as_much_as_they_ask_for() {
        let mut stub = Stub {
            input: b"GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\nPOST /bytes/1 HTTP/1.1\r\ncontent-length: 20\r\n\r\n\
                     01234567890123456789GET /bytes/0 HTTP/1.1\r\n\r\n",
            output: Vec::new(),
        };
        serve(&mut stub).expect("it ends in order");
        let expected = [(3, "xxx"), (1, "x"), (0, "")]
            .map(|(n, body)| format!("HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n{body}"));
        assert_eq!(String::from_utf8_lossy(&stub.output), expected.concat());
    }

    #[test]
    fn an_answer_longer_than_a_piece_is_whole() {
        let mut output = Vec::new();
        answer(&mut output, 3 * PIECE + 1).expect("it fits");
        let end = end_of_head(&output).expect("it has a head");
        assert_eq!(output.len() - end, 3 * PIECE + 1);
    }
}
