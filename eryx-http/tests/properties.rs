//! Property tests: splits, serialization and arbitrary bytes.

use eryx_http::{
    AnsweredRequest, CanonicalPath, Event, HttpError, Limits, Origin, RequestHead, RequestParser,
    ResponseHead, ResponseParser, Scheme, Step,
};
use proptest::prelude::*;

/// A parser of one direction.
trait Parser: Sized {
    type Head: Message;

    fn new() -> Self;
    fn advance(&mut self, input: &[u8]) -> Result<Step<Self::Head>, HttpError>;
    /// Prepares for the next message, after the end of one.
    fn next_message(&mut self) {}
    fn finish(self) -> Result<bool, HttpError>;
}

/// A head.
trait Message {
    fn write(&self, output: &mut Vec<u8>);
}

impl Message for RequestHead {
    fn write(&self, output: &mut Vec<u8>) {
        self.write(output);
    }
}

impl Message for ResponseHead {
    fn write(&self, output: &mut Vec<u8>) {
        self.write(output);
    }
}

impl Parser for RequestParser {
    type Head = RequestHead;

    fn new() -> Self {
        let origin = Origin::new(Scheme::Https, "a.example", 443);
        Self::new(origin, Limits::default())
    }

    fn advance(&mut self, input: &[u8]) -> Result<Step<RequestHead>, HttpError> {
        self.advance(input)
    }

    fn finish(self) -> Result<bool, HttpError> {
        RequestParser::finish(&self).map(|()| false)
    }
}

impl Parser for ResponseParser {
    type Head = ResponseHead;

    fn new() -> Self {
        let mut parser = Self::new(Limits::default());
        parser.expect_response_to(AnsweredRequest::Other);
        parser
    }

    fn advance(&mut self, input: &[u8]) -> Result<Step<ResponseHead>, HttpError> {
        self.advance(input)
    }

    fn next_message(&mut self) {
        self.expect_response_to(AnsweredRequest::Other);
    }

    fn finish(mut self) -> Result<bool, HttpError> {
        ResponseParser::finish(&mut self).map(|event| event.is_some())
    }
}

/// What a parser made of an input, independent of its split.
#[derive(Debug, Default)]
struct Outcome {
    /// The events, with adjacent body bytes in one.
    events: Vec<(&'static str, Vec<u8>)>,
    /// What is to be forwarded: the bytes that the parser did not keep, and the heads and trailers
    /// that it parsed.
    forwarded: Vec<u8>,
    end: Option<Result<bool, HttpError>>,
}

impl Outcome {
    fn of<P: Parser>(input: &[u8], sizes: &[usize]) -> Self {
        let mut parser = P::new();
        let mut outcome = Self::default();
        let mut rest = input;
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            if let Err(error) = outcome.push(&mut parser, piece) {
                outcome.end = Some(Err(error));
                return outcome;
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        outcome.end = Some(parser.finish());
        outcome
    }

    fn push<P: Parser>(&mut self, parser: &mut P, mut piece: &[u8]) -> Result<(), HttpError> {
        loop {
            let step = parser.advance(piece)?;
            assert!(step.forward <= step.consumed && step.consumed <= piece.len());
            self.forwarded.extend_from_slice(&piece[..step.forward]);
            let mut written = Vec::new();
            let event = match step.event {
                None => {
                    assert_eq!(step.consumed, piece.len(), "all input is parsed");
                    return Ok(());
                }
                Some(Event::Head(head)) => {
                    head.write(&mut written);
                    self.forwarded.extend_from_slice(&written);
                    ("head", written)
                }
                Some(Event::Trailers(fields)) => {
                    fields.write(&mut written);
                    self.forwarded.extend_from_slice(&written);
                    ("trailers", written)
                }
                Some(Event::Body(range)) => {
                    assert!(!range.is_empty() && range.end <= step.forward);
                    ("body", piece[range].to_vec())
                }
                Some(Event::Upgrade(protocols)) => ("upgrade", protocols.as_bytes().to_vec()),
                Some(Event::Raw(range)) => ("raw", piece[range].to_vec()),
                Some(Event::Switched) => ("switched", Vec::new()),
                Some(Event::End) => {
                    parser.next_message();
                    ("end", Vec::new())
                }
                Some(_) => ("other", Vec::new()),
            };
            match self.events.last_mut() {
                Some((name, bytes)) if *name == event.0 && matches!(*name, "body" | "raw") => {
                    bytes.extend(event.1);
                }
                _ => self.events.push(event),
            }
            piece = &piece[step.consumed..];
        }
    }
}

fn field() -> impl Strategy<Value = String> {
    (
        "x-[a-zA-Z0-9!#]{0,8}",
        "[ \t]{0,2}",
        "([!-~]([ -~]{0,20}[!-~])?)?",
        "[ \t]{0,2}",
    )
        .prop_map(|(name, before, value, after)| format!("{name}:{before}{value}{after}\r\n"))
}

/// Returns a strategy for framing fields and a body that fits them.
fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let content = prop::collection::vec(any::<u8>(), 0..30);
    let length =
        content.prop_map(|content| (format!("Content-Length: {}\r\n", content.len()), content));
    let chunk = prop::collection::vec(any::<u8>(), 1..20);
    let trailers = prop::collection::vec(field(), 0..3);
    let chunked = (prop::collection::vec(chunk, 0..4), trailers).prop_map(|(chunks, trailers)| {
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(&chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("0\r\n{}\r\n", trailers.concat()).as_bytes());
        ("Transfer-Encoding: chunked\r\n".to_owned(), body)
    });
    prop_oneof![length, chunked]
}

/// Returns a strategy for messages with this start line.
fn message(start: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    (start, prop::collection::vec(field(), 0..4), body()).prop_map(
        |(start, fields, (framing, body))| {
            let mut message = format!("{start}{}{framing}\r\n", fields.concat()).into_bytes();
            message.extend(body);
            message
        },
    )
}

fn messages(start: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(message(start), 1..4).prop_map(|messages| messages.concat())
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    messages(
        ("(POST|PUT|X-Y)", "/[a-z0-9/%?=]{0,20}").prop_map(|(method, target)| {
            format!("{method} {target} HTTP/1.1\r\nhOst:a.example\r\n")
        }),
    )
}

fn responses() -> impl Strategy<Value = Vec<u8>> {
    messages(
        ("[2-5]0[0-3]", "( [ -~]{0,10})?")
            .prop_map(|(status, reason)| format!("HTTP/1.1 {status}{reason}\r\n")),
    )
}

/// Replaces, removes or inserts bytes.
fn mutate(mut input: Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    const BYTES: &[u8] = b"\r\n\0 \t:;,0123456789abcdef\xff%";
    for (index, change, byte) in changes {
        let byte = BYTES[usize::from(*byte) % BYTES.len()];
        if input.is_empty() {
            return input;
        }
        let at = index.index(input.len());
        match change % 3 {
            0 => input[at] = byte,
            1 => input.insert(at, byte),
            _ => drop(input.remove(at)),
        }
    }
    input
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 0..4)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..20, 1..10)
}

fn check_splits<P: Parser>(input: &[u8], sizes: &[usize]) {
    let whole = Outcome::of::<P>(input, &[input.len().max(1)]);
    for sizes in [&[1], sizes] {
        let outcome = Outcome::of::<P>(input, sizes);
        assert_eq!(outcome.events, whole.events);
        assert_eq!(outcome.end, whole.end);
        // What an inspector forwards is what was sent. If a message is refused, more or less of the
        // framing before the error was forwarded.
        assert!(input.starts_with(&outcome.forwarded));
        if outcome.end.as_ref().is_some_and(Result::is_ok) {
            assert_eq!(outcome.forwarded, input);
        }
    }
}

proptest! {
    #[test]
    fn valid_requests_are_forwarded_unchanged(input in requests(), sizes in sizes()) {
        check_splits::<RequestParser>(&input, &sizes);
        let outcome = Outcome::of::<RequestParser>(&input, &sizes);
        prop_assert_eq!(outcome.end, Some(Ok(false)));
    }

    #[test]
    fn valid_responses_are_forwarded_unchanged(input in responses(), sizes in sizes()) {
        // A response without content refuses a body.
        check_splits::<ResponseParser>(&input, &sizes);
    }

    #[test]
    fn a_damaged_request_gives_the_same_events_for_every_split(
        input in requests(), changes in changes(), sizes in sizes(),
    ) {
        check_splits::<RequestParser>(&mutate(input, &changes), &sizes);
    }

    #[test]
    fn a_damaged_response_gives_the_same_events_for_every_split(
        input in responses(), changes in changes(), sizes in sizes(),
    ) {
        check_splits::<ResponseParser>(&mutate(input, &changes), &sizes);
    }

    #[test]
    fn arbitrary_bytes_give_the_same_events_for_every_split(
        input in prop::collection::vec(any::<u8>(), 0..200), sizes in sizes(),
    ) {
        check_splits::<RequestParser>(&input, &sizes);
        check_splits::<ResponseParser>(&input, &sizes);
    }

    #[test]
    fn a_changed_head_is_parsed_as_it_was_written(
        input in requests(), name in "[a-z]{1,3}|x-[a-z]{0,2}", value in "[ -~]{0,20}",
    ) {
        let mut parser = <RequestParser as Parser>::new();
        let step = parser.advance(&input).expect("valid");
        let Some(Event::Head(mut head)) = step.event else {
            panic!("a head");
        };
        head.fields_mut().set(&name, value.as_bytes()).expect("valid");
        prop_assert_eq!(head.fields().first(&name), Some(value.trim().as_bytes()));
        let mut output = Vec::new();
        head.write(&mut output);
        let step = <RequestParser as Parser>::new().advance(&output).expect("valid");
        prop_assert_eq!(step.consumed, output.len());
        prop_assert_eq!(step.event, Some(Event::Head(head)));
    }

    #[test]
    fn a_canonical_path_stays_the_same_when_parsed_again(
        target in "/([a-z0-9./;?\\\\]|%[0-9a-fA-F]{2}|%25|%2e|[!-~]){0,12}",
    ) {
        if let Ok(path) = CanonicalPath::parse(&target) {
            prop_assert_eq!(CanonicalPath::parse(path.as_str()).map(|p| p.as_str().to_owned()),
                Ok(path.as_str().to_owned()));
            for segment in path.segments() {
                prop_assert!(segment != "." && segment != "..");
                prop_assert!(!segment.contains(['\\', '?', '#']));
            }
        }
    }

    #[test]
    fn no_text_makes_the_path_parser_panic(target in any::<String>()) {
        let _ = CanonicalPath::parse(&target);
    }
}
