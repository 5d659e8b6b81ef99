//! Both directions of an HTTP connection.

use std::fmt::Debug;

use eryx_http::{Connection, Event, HttpError, Limits, Origin, RequestParser, Scheme, Step};

use crate::http_outcome::{Outcome, split_size};

/// Every split of what a client and a server send in turn gives the same events, what is forwarded
/// is what was sent, what was announced as content is content, and a connection accepts nothing
/// that a parser of requests alone refuses.
///
/// The input are pieces with [`SEPARATOR`] between them: of the client, of the server, and so on.
pub fn connection(input: &[u8]) {
    let whole = Exchange::of(input, usize::MAX);
    for size in [1, split_size(input)] {
        let exchange = Exchange::of(input, size);
        assert_eq!(exchange.requests.events, whole.requests.events);
        assert_eq!(exchange.responses.events, whole.responses.events);
        assert_eq!(exchange.error, whole.error);
        assert_eq!(exchange.ends, whole.ends);
    }
    check_requests_alone(input, &whole);
    let count = |outcome: &Outcome, name| {
        let events = outcome.events.iter();
        events.filter(|(event, _)| *event == name).count()
    };
    let requests = count(&whole.requests, "head");
    assert!(
        count(&whole.responses, "end") <= requests,
        "each response has a request"
    );
    if count(&whole.responses, "switched") > 0 {
        assert!(
            count(&whole.requests, "upgrade") > 0,
            "only the client offers a switch"
        );
    }
}

/// What a connection made of both directions.
struct Exchange {
    requests: Outcome,
    responses: Outcome,
    /// The error, and the number of the piece that has it.
    error: Option<(usize, HttpError)>,
    /// What the ends of the directions give.
    ends: [Option<HttpError>; 2],
}

impl Exchange {
    /// Passes the pieces of the input to a connection, each in pieces of `size` bytes.
    fn of(input: &[u8], size: usize) -> Self {
        let mut connection = Connection::new(origin(), Limits::default());
        let (mut requests, mut responses) = (Outcome::default(), Outcome::default());
        let mut error = None;
        for (number, piece) in pieces(input).enumerate() {
            let result = if is_client(number) {
                let advance = |bytes: &[u8], _| {
                    let content = connection.request_content();
                    check_content(content, bytes, connection.request(bytes))
                };
                requests.drive(piece, size, advance, |_| ())
            } else {
                let advance = |bytes: &[u8], _| {
                    let content = connection.response_content();
                    check_content(content, bytes, connection.response(bytes))
                };
                responses.drive(piece, size, advance, |_| ())
            };
            assert!(connection.requests_in_flight() <= Limits::MAX_PIPELINED);
            if let Err(found) = result {
                assert_eq!(
                    connection.request(b"").err(),
                    Some(found.clone()),
                    "it is final for requests"
                );
                if !is_client(number) {
                    // After an error of a request, the responses before it are still parsed.
                    assert_eq!(
                        connection.response(b"").err(),
                        Some(found.clone()),
                        "it is final for responses"
                    );
                }
                error = Some((number, found));
                break;
            }
        }
        for (outcome, is_client_side) in [(&requests, true), (&responses, false)] {
            let sent: Vec<u8> = pieces(input)
                .enumerate()
                .filter(|(number, _)| is_client(*number) == is_client_side)
                .flat_map(|(_, piece)| piece.iter().copied())
                .collect();
            assert!(sent.starts_with(&outcome.forwarded));
        }
        let ends = [
            connection.on_client_eof().err(),
            connection.on_server_eof().err(),
        ];
        Self {
            requests,
            responses,
            error,
            ends,
        }
    }
}

/// Checks that a step takes what was announced as content for content, and returns the step.
fn check_content<H: Debug + PartialEq>(
    content: u64,
    bytes: &[u8],
    step: Result<Step<H>, HttpError>,
) -> Result<Step<H>, HttpError> {
    let count = bytes
        .len()
        .min(usize::try_from(content).unwrap_or(usize::MAX));
    if count > 0 {
        let step = step.as_ref().expect("content is accepted");
        let expected = Some(Event::Body(0..count));
        assert_eq!(
            (step.consumed, step.forward, &step.event),
            (count, count, &expected)
        );
    }
    step
}

/// Checks that the events of the requests are those that a parser without responses gives, as far
/// as the connection did not refuse the input or leave HTTP.
fn check_requests_alone(input: &[u8], exchange: &Exchange) {
    let sent: Vec<u8> = pieces(input)
        .enumerate()
        .filter(|(number, _)| is_client(*number))
        .flat_map(|(_, piece)| piece.iter().copied())
        .collect();
    let mut parser = RequestParser::new(origin(), Limits::default());
    let mut alone = Outcome::default();
    // An error comes after the events that are compared.
    let _ = alone.drive(&sent, usize::MAX, |bytes, _| parser.advance(bytes), |_| ());
    let events = exchange.requests.events.iter();
    let mut events: Vec<_> = events.filter(|(name, _)| *name != "raw").collect();
    let last = events.pop();
    assert!(
        events
            .iter()
            .copied()
            .eq(alone.events.iter().take(events.len()))
    );
    if let Some((name, bytes)) = last {
        let (name_alone, bytes_alone) = &alone.events[events.len()];
        assert_eq!(name, name_alone);
        assert!(bytes_alone.starts_with(bytes), "a body can be cut off");
    }
}

fn origin() -> Origin {
    Origin::new(Scheme::Https, "a.example", 443)
}

fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|&byte| byte == SEPARATOR)
}

fn is_client(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// Separates the pieces of an input: the record separator of ASCII.
const SEPARATOR: u8 = 0x1e;
