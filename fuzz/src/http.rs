//! Parsers of HTTP requests and responses.

use eryx_http::{
    AnsweredRequest, CanonicalPath, Event, HttpError, Limits, Origin, RequestHead, RequestParser,
    ResponseHead, ResponseParser, Scheme,
};

use crate::http_outcome::{Outcome, split_size, write};

/// Every split of the requests of a client gives the same events, what is forwarded is what was
/// sent, and a changed head or body is parsed as it was written.
pub fn request(input: &[u8]) {
    let origin = Origin::new(Scheme::Https, "a.example", 443);
    check_splits(input, |input, size| {
        let mut parser = RequestParser::new(origin.clone(), Limits::default());
        let mut outcome = Outcome::default();
        let result = outcome.drive(
            input,
            size,
            |piece, _| parser.advance(piece),
            |head| check_head(head, &origin),
        );
        let is_idle = parser.is_idle();
        let end = result.and_then(|()| parser.finish());
        assert!(end.is_err() || is_idle, "the input ends between requests");
        outcome.error = end.err();
        outcome
    });
}

/// Every split of the responses of a server gives the same events, what is forwarded is what was
/// received, and a changed body is parsed as it was written.
pub fn response(input: &[u8]) {
    for kind in [
        AnsweredRequest::Other,
        AnsweredRequest::Head,
        AnsweredRequest::Connect,
    ] {
        check_splits(input, |input, size| {
            let mut parser = ResponseParser::new(Limits::default());
            parser.expect_response_to(kind);
            let mut outcome = Outcome::default();
            let advance = |piece: &[u8], is_next: bool| {
                if is_next {
                    parser.expect_response_to(kind);
                }
                parser.advance(piece)
            };
            let result = outcome.drive(input, size, advance, |head: &ResponseHead| {
                assert!((100..1000).contains(&head.status()));
            });
            outcome.error = result.and_then(|()| parser.finish()).err();
            outcome
        });
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
    if whole.error.is_none() {
        let rewritten = parse(&whole.rewritten, whole.rewritten.len().max(1));
        assert_eq!(rewritten.events, whole.events);
        assert_eq!(rewritten.error, None);
        assert_eq!(rewritten.rewritten, whole.rewritten);
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
    let changes: [fn(&mut RequestHead) -> Result<(), HttpError>; 3] = [
        |head| head.fields_mut().set("authorization", b"Bearer x"),
        |head| head.set_query(Some("a=b")),
        |head| head.set_content_length(1234),
    ];
    let mut changed = head.clone();
    for change in changes {
        let before = changed.clone();
        if change(&mut changed).is_err() {
            assert_eq!(changed, before, "a change that fails changes nothing");
        }
    }
    let output = write(|output| changed.write(output));
    assert!(output.len() <= Limits::MAX_HEAD_BYTES);
    let mut parser = RequestParser::new(origin.clone(), Limits::default());
    let step = parser.advance(&output).expect("a changed head is valid");
    assert_eq!(step.consumed, output.len());
    let Some(Event::Head(parsed)) = step.event else {
        panic!("a head");
    };
    assert_eq!(parsed.framing(), changed.framing());
    assert_eq!(*parsed, changed);
}
