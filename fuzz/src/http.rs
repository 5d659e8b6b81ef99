//! Parsers of HTTP requests and responses, and the scrubber of secrets.

use eryx_http::{
    AnsweredRequest, CanonicalPath, Event, HttpError, Limits, Origin, RequestHead, RequestParser,
    ResponseHead, ResponseParser, Scheme, Scrubber, Step,
};

/// Every split of the requests of a client gives the same events, what is forwarded is what was
/// sent, and a changed head is parsed as it was written.
pub fn request(input: &[u8]) {
    let origin = Origin::new(Scheme::Https, "a.example", 443);
    check_splits(input, |input, size| {
        let mut parser = RequestParser::new(origin.clone(), Limits::default());
        let mut outcome = Outcome::default();
        let result = outcome.drive(
            input,
            size,
            |piece, _| parser.advance(piece),
            |head| {
                check_head(head, &origin);
                write(|output| head.write(output))
            },
        );
        let is_idle = parser.is_idle();
        let end = result.and_then(|()| parser.finish());
        assert!(end.is_err() || is_idle, "the input ends between requests");
        outcome.end(end);
        outcome
    });
}

/// Every split of the responses of a server gives the same events, and what is forwarded is what
/// was received.
pub fn response(input: &[u8]) {
    for kind in [
        AnsweredRequest::Other,
        AnsweredRequest::Head,
        AnsweredRequest::Connect,
    ] {
        check_splits(input, |input, size| {
            let mut parser = ResponseParser::new(Limits::default());
            parser.expect(kind);
            let mut outcome = Outcome::default();
            let advance = |piece: &[u8], is_next: bool| {
                if is_next {
                    parser.expect(kind);
                }
                parser.advance(piece)
            };
            let result = outcome.drive(input, size, advance, |head: &ResponseHead| {
                assert!((100..1000).contains(&head.status()));
                write(|output| head.write(output))
            });
            outcome.end(result.and_then(|()| parser.finish().map(|_| ())));
            outcome
        });
    }
}

/// A scrubber gives the same result for every split as a replacement in the whole stream.
///
/// The input has a secret in each line up to an empty line. The stream follows.
pub fn scrubber(input: &[u8]) {
    let mut secrets: Vec<&[u8]> = Vec::new();
    let mut stream = input;
    while let Some(end) = stream.iter().position(|&b| b == b'\n') {
        let line = &stream[..end];
        stream = &stream[end + 1..];
        if line.is_empty() {
            break;
        }
        if secrets.len() < MAX_SECRETS && !secrets.contains(&line) {
            secrets.push(line);
        }
    }
    // The placeholders differ from each other, and from the bytes of most secrets.
    let pairs: Vec<(&[u8], Vec<u8>)> = secrets
        .iter()
        .zip(0x80..)
        .map(|(&secret, byte)| (secret, vec![byte; secret.len()]))
        .collect();
    let longest = secrets.iter().map(|secret| secret.len()).max();
    let expected = replace(&pairs, stream);
    for size in [stream.len().max(1), 1, split_size(input)] {
        let mut scrubber = Scrubber::new(pairs.iter().cloned()).expect("valid pairs");
        let mut output = Vec::new();
        for piece in stream.chunks(size) {
            scrubber.push(piece, &mut output);
            assert!(scrubber.held() < longest.unwrap_or(1), "held back too much");
            assert!(
                expected.starts_with(&output),
                "a byte was released too early"
            );
        }
        scrubber.finish(&mut output);
        assert_eq!(output, expected);
    }
}

/// What a parser made of an input, independent of its split.
#[derive(Debug, Default)]
struct Outcome {
    /// The events, with adjacent body bytes in one.
    events: Vec<(&'static str, Vec<u8>)>,
    /// What an inspector forwards: the bytes that the parser did not keep, and the heads and
    /// trailers.
    forwarded: Vec<u8>,
    error: Option<HttpError>,
}

impl Outcome {
    /// Passes the input to a parser in pieces of `size` bytes. The second argument of `advance` is
    /// whether a message has just ended.
    fn drive<H>(
        &mut self,
        input: &[u8],
        size: usize,
        mut advance: impl FnMut(&[u8], bool) -> Result<Step<H>, HttpError>,
        write_head: impl Fn(&H) -> Vec<u8>,
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
                self.push(event, piece, &write_head);
                piece = &piece[step.consumed..];
            }
        }
        Ok(())
    }

    fn push<H>(&mut self, event: Event<H>, piece: &[u8], write_head: impl Fn(&H) -> Vec<u8>) {
        let (name, bytes) = match event {
            Event::Head(head) => ("head", write_head(&head)),
            Event::Trailers(fields) => ("trailers", write(|output| fields.write(output))),
            Event::Body(range) => ("body", piece[range].to_vec()),
            Event::Raw(range) => ("raw", piece[range].to_vec()),
            Event::Upgrade(protocols) => ("upgrade", protocols.as_bytes().to_vec()),
            Event::Switched => ("switched", Vec::new()),
            Event::End => ("end", Vec::new()),
            other => panic!("an unknown event, {}", std::any::type_name_of_val(&other)),
        };
        if matches!(name, "head" | "trailers") {
            assert!(bytes.len() <= Limits::MAX_HEAD_BYTES);
            self.forwarded.extend_from_slice(&bytes);
        }
        match self.events.last_mut() {
            Some((last, body)) if *last == name && matches!(name, "body" | "raw") => {
                body.extend(bytes);
            }
            _ => self.events.push((name, bytes)),
        }
    }

    fn end(&mut self, result: Result<(), HttpError>) {
        self.error = result.err();
    }
}

/// Runs `parse` with the whole input, byte by byte, and in pieces of another size.
fn check_splits(input: &[u8], parse: impl Fn(&[u8], usize) -> Outcome) {
    let whole = parse(input, input.len().max(1));
    if let Some(error) = &whole.error {
        let message = error.to_string();
        assert!(message.len() < 1024, "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
    for size in [1, split_size(input)] {
        let outcome = parse(input, size);
        assert_eq!(outcome.events, whole.events);
        assert_eq!(outcome.error, whole.error);
        // If a message is refused, more or less of the framing before the error was forwarded.
        assert!(input.starts_with(&outcome.forwarded));
        if outcome.error.is_none() {
            assert_eq!(outcome.forwarded, input);
        }
    }
}

/// A changed head is parsed as it was written, and its path is canonical or refused.
fn check_head(head: &RequestHead, origin: &Origin) {
    if let Ok(path) = CanonicalPath::parse(&head.path_and_query()) {
        let again = CanonicalPath::parse(path.as_str()).expect("it is canonical");
        assert_eq!(again.as_str(), path.as_str());
        assert!(
            path.segments()
                .all(|segment| !matches!(segment, "." | ".."))
        );
    }
    let mut changed = head.clone();
    if changed
        .fields_mut()
        .set("authorization", b"Bearer x")
        .is_err()
    {
        return;
    }
    let output = write(|output| changed.write(output));
    let mut parser = RequestParser::new(origin.clone(), Limits::default());
    // The field can make the head too long.
    if let Ok(step) = parser.advance(&output) {
        assert_eq!(step.consumed, output.len());
        assert_eq!(step.event, Some(Event::Head(Box::new(changed))));
    } else {
        assert!(output.len() > Limits::MAX_HEAD_BYTES);
    }
}

/// Replaces in the whole stream: at each position the longest secret.
fn replace(pairs: &[(&[u8], Vec<u8>)], stream: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(stream.len());
    while output.len() < stream.len() {
        let rest = &stream[output.len()..];
        let longest = pairs
            .iter()
            .filter(|(secret, _)| rest.starts_with(secret))
            .max_by_key(|(secret, _)| secret.len());
        match longest {
            Some((_, placeholder)) => output.extend_from_slice(placeholder),
            None => output.push(rest[0]),
        }
    }
    output
}

fn write(append: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut output = Vec::new();
    append(&mut output);
    output
}

/// Returns a size from 2 to 17 that depends on the input.
fn split_size(input: &[u8]) -> usize {
    let sum = input.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    usize::from(sum % 16) + 2
}

/// The maximum number of secrets of an input.
const MAX_SECRETS: usize = 8;
