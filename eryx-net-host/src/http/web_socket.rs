//! What a server sends over WebSocket (RFC 6455), with placeholders in place of secrets.

use crate::http::secret_filter::{SecretFilter, SecretPatterns};

/// Replaces secrets in the messages of a server.
///
/// Secrets are found across the frames of a message, however the stream is split. The frames of
/// data are made again: what is held back of a message does not hold back the control frames
/// between its frames, nor anything that follows the message.
#[derive(Default)]
pub(super) struct WebSocketFilter {
    state: State,
    /// The opcode of the program's next frame of the current message: that of the message, then 0.
    message: Option<u8>,
    /// How many of the last frames of the current message had no data.
    empty_frames: u32,
    filter: SecretFilter,
    /// What control frames are searched for.
    patterns: Option<SecretPatterns>,
}

enum State {
    /// In the header of a frame.
    Header(PartialHeader),
    /// In the payload of a frame of data.
    Data { rest: u64, is_final: bool },
    /// In the payload of a control frame.
    Control {
        rest: u64,
        opcode: u8,
        payload: Vec<u8>,
    },
}

/// The bytes of a header that have arrived.
#[derive(Default)]
struct PartialHeader {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

/// The header of a frame of a server.
struct Header {
    is_final: bool,
    opcode: u8,
    length: u64,
}

/// The first byte's bit of the last frame of a message (RFC 6455, 5.2).
const FIN: u8 = 0x80;

/// The first byte's bits that only extensions use.
const RESERVED: u8 = 0x70;

/// The second byte's bit of a payload that is masked, as those of clients are.
const MASK: u8 = 0x80;

/// The opcodes of control frames begin here.
const CONTROL: u8 = 8;

/// The longest payload of a control frame (RFC 6455, 5.5).
const MAX_CONTROL: u64 = 125;

/// The longest header without a mask: its two first bytes, and a length of eight (RFC 6455, 5.2).
const MAX_HEADER: usize = 10;

/// The most frames of a message that follow each other without data. RFC 6455 sets no limit, but a
/// server that sends more of them keeps the host busy without an end, and tells the program
/// nothing.
const MAX_EMPTY_FRAMES: u32 = 1024;

impl Default for State {
    fn default() -> Self {
        Self::Header(PartialHeader::default())
    }
}

impl WebSocketFilter {
    /// Sets what is replaced from here on.
    pub(super) fn refresh(&mut self, patterns: &SecretPatterns, version: u64) {
        self.filter.refresh(patterns, version);
        self.patterns = Some(patterns.clone());
    }

    /// Takes bytes of the server, and appends those for the program to `output`.
    ///
    /// # Errors
    ///
    /// The rule that a frame breaks.
    pub(super) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), &'static str> {
        self.parse(input, output)?;
        // Once for all of the input: each time costs as much as all bytes that are held back.
        if self.message.is_some() {
            self.write_data(false, output);
        }
        Ok(())
    }

    /// Takes bytes of the server, and appends the messages and control frames that have ended.
    fn parse(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> Result<(), &'static str> {
        loop {
            match &mut self.state {
                State::Header(partial) => {
                    input = partial.take(input);
                    let bytes = &partial.bytes[..partial.length];
                    if bytes.len() < header_length(bytes) {
                        return Ok(());
                    }
                    let header = Header::parse(bytes)?;
                    self.begin(&header)?;
                }
                State::Data { rest, is_final } => {
                    let taken = take(&mut input, rest);
                    let is_end = *rest == 0;
                    let is_last = is_end && *is_final;
                    if !taken.is_empty() {
                        self.filter.push(taken);
                    }
                    if is_last {
                        self.write_data(true, output);
                    }
                    if !is_end {
                        return Ok(());
                    }
                    self.state = State::default();
                }
                State::Control {
                    rest,
                    opcode,
                    payload,
                } => {
                    payload.extend_from_slice(take(&mut input, rest));
                    if *rest > 0 {
                        return Ok(());
                    }
                    let scrubbed = match &self.patterns {
                        Some(patterns) if patterns.may_be_in(payload) => patterns.scrub(payload),
                        _ => std::mem::take(payload),
                    };
                    write_frame(true, *opcode, &scrubbed, output);
                    self.state = State::default();
                }
            }
        }
    }

    /// Begins the payload of a frame.
    fn begin(&mut self, header: &Header) -> Result<(), &'static str> {
        let &Header {
            is_final,
            opcode,
            length: rest,
        } = header;
        if opcode >= CONTROL {
            self.state = State::Control {
                rest,
                opcode,
                payload: Vec::new(),
            };
            return Ok(());
        }
        match (&self.message, opcode) {
            (Some(_), 0) => {}
            (None, 1..) => self.message = Some(opcode),
            (Some(_), _) => return Err("a message begins within another one"),
            (None, 0) => return Err("a frame continues no message"),
        }
        self.empty_frames = match rest {
            0 if !is_final => self.empty_frames + 1,
            _ => 0,
        };
        if self.empty_frames > MAX_EMPTY_FRAMES {
            return Err("more than 1024 frames of a message in a row have no data");
        }
        self.state = State::Data { rest, is_final };
        Ok(())
    }

    /// Appends a frame with the data that is not held back.
    fn write_data(&mut self, is_last: bool, output: &mut Vec<u8>) {
        let data = match is_last {
            true => self.filter.finish(),
            false => self.filter.take(),
        };
        if is_last || !data.is_empty() {
            let opcode = self.message.replace(0).unwrap_or(0);
            write_frame(is_last, opcode, &data, output);
        }
        if is_last {
            self.message = None;
        }
    }
}

impl PartialHeader {
    /// Takes the bytes that are missing, as far as they have arrived. Returns the rest of `input`.
    fn take<'a>(&mut self, mut input: &'a [u8]) -> &'a [u8] {
        // With the second byte, the length of the header is known.
        while !input.is_empty() {
            let wanted = header_length(&self.bytes[..self.length]);
            let (taken, rest) = input.split_at((wanted - self.length).min(input.len()));
            if taken.is_empty() {
                break;
            }
            self.bytes[self.length..][..taken.len()].copy_from_slice(taken);
            self.length += taken.len();
            input = rest;
        }
        input
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let (first, second) = (bytes[0], bytes[1]);
        if first & RESERVED != 0 {
            return Err("a frame uses an extension, and the request offered none");
        }
        if second & MASK != 0 {
            return Err("a frame of the server is masked");
        }
        let length = match second {
            126 | 127 => bytes[2..]
                .iter()
                .fold(0, |n, &byte| n << 8 | u64::from(byte)),
            length => u64::from(length),
        };
        let header = Self {
            is_final: first & FIN != 0,
            opcode: first & 0x0f,
            length,
        };
        match header.opcode {
            0..=2 | 8..=10 => {}
            _ => return Err("a frame has an opcode that RFC 6455 does not define"),
        }
        if header.opcode >= CONTROL && (!header.is_final || length > MAX_CONTROL) {
            return Err("a control frame is fragmented or has more than 125 bytes");
        }
        if length > i64::MAX as u64 {
            return Err("the length of a frame has its highest bit set");
        }
        Ok(header)
    }
}

/// Returns the length of the header that `bytes` begin, as far as it is known.
fn header_length(bytes: &[u8]) -> usize {
    match bytes.get(1).map(|second| second & !MASK) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    }
}

/// Removes up to `rest` bytes from the start of `input`, and returns them.
fn take<'a>(input: &mut &'a [u8], rest: &mut u64) -> &'a [u8] {
    let count = input
        .len()
        .min(usize::try_from(*rest).unwrap_or(usize::MAX));
    let (taken, others) = input.split_at(count);
    *input = others;
    *rest -= count as u64;
    taken
}

fn write_frame(is_final: bool, opcode: u8, payload: &[u8], output: &mut Vec<u8>) {
    output.push(if is_final { FIN | opcode } else { opcode });
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => output.push(length),
        (_, Ok(length)) => {
            output.push(126);
            output.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            output.push(127);
            output.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    output.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::secret_encodings::encode_secret;

    const SECRET: &[u8] = b"ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    const PLACEHOLDER: &[u8] = b"eryx-ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHI";

    fn filter() -> WebSocketFilter {
        let patterns = SecretPatterns::new(encode_secret(SECRET, PLACEHOLDER)).expect("a form");
        let mut filter = WebSocketFilter::default();
        filter.refresh(&patterns, 1);
        filter
    }

    fn frame(is_final: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        write_frame(is_final, opcode, payload, &mut output);
        output
    }

    /// Returns the messages and control frames of a stream, as their opcode and payload.
    fn messages(mut stream: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let (mut messages, mut current) = (Vec::new(), None);
        while !stream.is_empty() {
            let length = header_length(stream);
            let header = Header::parse(&stream[..length]).expect("valid");
            let end = length + usize::try_from(header.length).expect("short");
            let payload = &stream[length..end];
            stream = &stream[end..];
            if header.opcode >= CONTROL {
                messages.push((header.opcode, payload.to_vec()));
                continue;
            }
            let (_, text) = current.get_or_insert((header.opcode, Vec::new()));
            text.extend_from_slice(payload);
            if header.is_final {
                messages.extend(current.take());
            }
        }
        assert_eq!(current, None);
        messages
    }

    #[test]
    fn secrets_are_replaced_across_frames_however_the_stream_is_split() {
        let stream = [
            frame(true, 1, &[b"a ", SECRET, b" b"].concat()),
            frame(false, 2, &SECRET[..10]),
            frame(true, 9, b"ping"),
            frame(false, 0, b""),
            frame(false, 0, &SECRET[10..20]),
            frame(true, 0, &SECRET[20..]),
            frame(true, 10, SECRET),
            frame(true, 2, &SECRET.repeat(2000)),
            frame(true, 1, &SECRET[..12]),
            frame(true, 1, b""),
        ]
        .concat();
        let expected = [
            (1, [b"a ", PLACEHOLDER, b" b"].concat()),
            (9, b"ping".to_vec()),
            (2, PLACEHOLDER.to_vec()),
            (10, PLACEHOLDER.to_vec()),
            (2, PLACEHOLDER.repeat(2000)),
            (1, SECRET[..12].to_vec()),
            (1, Vec::new()),
        ];
        for size in [1, 2, 3, 7, 11, 64, 1000, stream.len()] {
            let (mut filter, mut output) = (filter(), Vec::new());
            for piece in stream.chunks(size) {
                filter.push(piece, &mut output).expect("valid");
            }
            assert_eq!(messages(&output), expected, "{size}");
        }
    }

    #[test]
    fn a_whole_message_and_a_control_frame_in_a_message_are_not_held_back() {
        let (mut filter, mut output) = (filter(), Vec::new());
        let word = frame(true, 1, &SECRET[..20]);
        filter.push(&word, &mut output).expect("valid");
        assert_eq!(output, word);
        output.clear();
        filter
            .push(&frame(false, 1, &SECRET[..20]), &mut output)
            .expect("valid");
        assert_eq!(output, b"");
        let ping = frame(true, 9, b"ping");
        filter.push(&ping, &mut output).expect("valid");
        assert_eq!(output, ping);
    }

    #[test]
    fn small_frames_that_arrive_together_become_one() {
        let (mut filter, mut output) = (filter(), Vec::new());
        let start = frame(false, 1, b"a");
        let rest = frame(false, 0, b" ").repeat(1000);
        let ping = frame(true, 9, b"");
        let stream = [&start[..], &rest, &ping, &rest].concat();
        filter.push(&stream, &mut output).expect("valid");
        let text = [&b"a"[..], &b" ".repeat(2000)].concat();
        assert_eq!(output, [ping, frame(false, 1, &text)].concat());
    }

    #[test]
    fn frames_without_data_lead_to_nothing_and_are_limited() {
        for header in [
            &[0, 0][..],
            &[0, 126, 0, 0],
            &[0, 127, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let (mut filter, mut output) = (filter(), Vec::new());
            let most = header.repeat(MAX_EMPTY_FRAMES as usize);
            let stream = [&frame(false, 1, b" ")[..], &most].concat();
            filter
                .push(&stream, &mut output)
                .expect("as many as allowed");
            assert_eq!(output, frame(false, 1, b" "));
            // Those of before do not count after data.
            filter
                .push(&frame(false, 0, b" "), &mut output)
                .expect("valid");
            filter.push(&most, &mut output).expect("as many as allowed");
            let error = filter.push(header, &mut output).expect_err("one more");
            assert!(error.contains("1024 frames"), "{error}");
        }
        // A message that is empty is none of them.
        let messages = frame(true, 1, b"").repeat(2 * MAX_EMPTY_FRAMES as usize);
        let mut output = Vec::new();
        filter().push(&messages, &mut output).expect("valid");
        assert_eq!(output, messages);
    }

    #[test]
    fn frames_that_could_hide_a_secret_or_that_break_the_protocol_are_refused() {
        for (stream, rule) in [
            (&[0xc1, 1, b'a'][..], "extension"),
            (&[0x81, 0x81, 0, 0, 0, 0, b'a'], "masked"),
            (&[0x83, 0], "opcode"),
            (&[0x8b, 0], "opcode"),
            (&[0x80, 0], "continues no message"),
            (&[0x01, 0, 0x81, 0], "within another"),
            (&[0x09, 0], "control frame"),
            (&[0x89, 126, 0, 126], "control frame"),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], "highest bit"),
        ] {
            let error = filter().push(stream, &mut Vec::new()).expect_err(rule);
            assert!(error.contains(rule), "{error}");
        }
    }
}
