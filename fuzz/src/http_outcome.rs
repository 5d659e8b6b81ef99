//! What a parser made of an input.

use eryx_http::{
    Event, Framing, HttpError, Limits, RequestHead, ResponseHead, Step, write_chunk,
    write_last_chunk,
};

/// What a parser made of an input, independent of its split.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The events, with adjacent body bytes in one.
    pub(crate) events: Vec<(&'static str, Vec<u8>)>,
    /// What an inspector forwards: the bytes that the parser did not keep, and the heads and
    /// trailers.
    pub(crate) forwarded: Vec<u8>,
    /// The messages, with each event of a chunked body as one chunk.
    pub(crate) rewritten: Vec<u8>,
    pub(crate) error: Option<HttpError>,
    is_chunked: bool,
}

/// A head of either direction.
pub(crate) trait Head {
    fn write_to(&self, output: &mut Vec<u8>);
    fn body(&self) -> Framing;
}

impl Head for RequestHead {
    fn write_to(&self, output: &mut Vec<u8>) {
        self.write(output);
    }

    fn body(&self) -> Framing {
        self.framing()
    }
}

impl Head for ResponseHead {
    fn write_to(&self, output: &mut Vec<u8>) {
        self.write(output);
    }

    fn body(&self) -> Framing {
        self.framing()
    }
}

impl Outcome {
    /// Passes the input to a parser in pieces of `size` bytes, and the heads to `check`. The second
    /// argument of `advance` is whether a message has just ended.
    pub(crate) fn drive<H: Head>(
        &mut self,
        input: &[u8],
        size: usize,
        mut advance: impl FnMut(&[u8], bool) -> Result<Step<H>, HttpError>,
        check: impl Fn(&H),
    ) -> Result<(), HttpError> {
        let mut is_next = false;
        for mut piece in input.chunks(size) {
            loop {
                let step = advance(piece, is_next)?;
                assert!(step.forward <= step.consumed && step.consumed <= piece.len());
                self.forwarded.extend_from_slice(&piece[..step.forward]);
                let Some(event) = step.event else {
                    assert_eq!(step.consumed, piece.len(), "all input is parsed");
                    is_next = false;
                    break;
                };
                is_next = matches!(event, Event::End);
                if let Event::Head(head) = &event {
                    check(head);
                }
                self.push(event, piece);
                piece = &piece[step.consumed..];
            }
        }
        Ok(())
    }

    fn push<H: Head>(&mut self, event: Event<H>, piece: &[u8]) {
        let (name, bytes) = match event {
            Event::Head(head) => {
                self.is_chunked = head.body() == Framing::Chunked;
                ("head", write(|output| head.write_to(output)))
            }
            Event::Trailers(fields) => {
                self.is_chunked = false;
                write_last_chunk(Some(&fields), &mut self.rewritten);
                ("trailers", write(|output| fields.write(output)))
            }
            Event::Body(range) if self.is_chunked => {
                write_chunk(&piece[range.clone()], &mut self.rewritten);
                ("chunked body", piece[range].to_vec())
            }
            Event::Body(range) => ("body", piece[range].to_vec()),
            Event::Raw(range) => ("raw", piece[range].to_vec()),
            Event::Upgrade(protocols) => ("upgrade", protocols.as_bytes().to_vec()),
            Event::Switched => ("switched", Vec::new()),
            Event::End => {
                if std::mem::take(&mut self.is_chunked) {
                    write_last_chunk(None, &mut self.rewritten);
                }
                ("end", Vec::new())
            }
            other => panic!("an unknown event, {}", std::any::type_name_of_val(&other)),
        };
        if matches!(name, "head" | "trailers") {
            assert!(bytes.len() <= Limits::MAX_HEAD_BYTES);
            self.forwarded.extend_from_slice(&bytes);
        }
        if matches!(name, "head" | "body" | "raw") {
            self.rewritten.extend_from_slice(&bytes);
        }
        match self.events.last_mut() {
            Some((last, data))
                if *last == name && matches!(name, "body" | "chunked body" | "raw") =>
            {
                data.extend(bytes);
            }
            _ => self.events.push((name, bytes)),
        }
    }
}

/// Returns what `append` appends.
pub(crate) fn write(append: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut output = Vec::new();
    append(&mut output);
    output
}

/// Returns a size from 2 to 17 that depends on the input.
pub(crate) fn split_size(input: &[u8]) -> usize {
    let sum = input.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    usize::from(sum % 16) + 2
}
