//! Tests with the vectors in `vectors/`.
//!
//! A row of `requests.tsv` and `responses.tsv` has a name, what is expected, for responses the
//! method of the request, and the input with `\r`, `\n`, `\t` and `\x00`. Expected is the variant
//! of `HttpErrorKind`, or `ok`, the number of messages, and for responses the length of all bodies.

use eryx_http::{
    AnsweredRequest, CanonicalPath, Event, HttpError, Limits, Origin, RequestParser,
    ResponseParser, Scheme,
};

#[test]
fn every_request_vector_gets_its_verdict() {
    check(include_str!("vectors/requests.tsv"), 180, |fields| {
        let [_name, expected, input] = fields else {
            panic!("three fields");
        };
        let input = unescape(input);
        let whole = requests(&input, input.len());
        let bytes = requests(&input, 1);
        (expected.to_string(), vec![whole, bytes])
    });
}

#[test]
fn every_response_vector_gets_its_verdict() {
    check(include_str!("vectors/responses.tsv"), 45, |fields| {
        let [_name, expected, method, input] = fields else {
            panic!("four fields");
        };
        let input = unescape(input);
        let whole = responses(&input, method, input.len());
        let bytes = responses(&input, method, 1);
        (expected.to_string(), vec![whole, bytes])
    });
}

#[test]
fn every_path_vector_gets_its_verdict() {
    check(include_str!("vectors/paths.tsv"), 90, |fields| {
        let [input, expected, canonical, _why] = fields else {
            panic!("four fields");
        };
        let result = match CanonicalPath::parse(input) {
            Ok(path) => format!("ok {}", path.as_str()),
            Err(error) => {
                assert!(!error.to_string().contains(char::is_control), "{error}");
                variant(error.kind())
            }
        };
        (
            format!("{expected} {canonical}").trim().to_owned(),
            vec![result],
        )
    });
}

/// Checks all rows, and names those that fail.
fn check(table: &str, minimum: usize, judge: impl Fn(&[&str]) -> (String, Vec<String>)) {
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert!(
        rows.len() >= minimum,
        "the vectors are there: {}",
        rows.len()
    );
    let mut failures = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let fields: Vec<&str> = row.split('\t').collect();
        let (expected, results) = judge(&fields);
        for result in results.iter().filter(|r| **r != expected) {
            failures.push(format!("line {}: {row}\n  -> {result}", index + 2));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn requests(input: &[u8], size: usize) -> String {
    let origin = Origin::new(Scheme::Https, "a.example", 443);
    let mut parser = RequestParser::new(origin, Limits::default());
    let mut count = 0;
    let result = drive(input, size, |piece| {
        let step = parser.advance(piece)?;
        count += usize::from(step.event == Some(Event::End));
        Ok((step.consumed, step.event.is_some()))
    });
    match result.and_then(|()| parser.finish()) {
        Ok(()) => format!("ok {count}"),
        Err(error) => describe(&error),
    }
}

fn responses(input: &[u8], method: &str, size: usize) -> String {
    let mut parser = ResponseParser::new(Limits::default());
    parser.expect_response_to(AnsweredRequest::of_method(method));
    let (mut count, mut body) = (0, 0);
    let result = drive(input, size, |piece| {
        let step = parser.advance(piece)?;
        match &step.event {
            Some(Event::End) => count += 1,
            Some(Event::Body(range)) => body += range.len(),
            _ => {}
        }
        Ok((step.consumed, step.event.is_some()))
    });
    match result.and_then(|()| parser.finish()) {
        Ok(event) => format!("ok {} {body}", count + usize::from(event.is_some())),
        Err(error) => describe(&error),
    }
}

/// Passes the input in pieces of `size` bytes to a parser.
fn drive(
    input: &[u8],
    size: usize,
    mut advance: impl FnMut(&[u8]) -> Result<(usize, bool), HttpError>,
) -> Result<(), HttpError> {
    for piece in input.chunks(size.max(1)) {
        let mut rest = piece;
        loop {
            let (consumed, has_event) = advance(rest)?;
            rest = &rest[consumed..];
            if !has_event {
                assert!(rest.is_empty(), "all input is parsed");
                break;
            }
        }
    }
    Ok(())
}

fn describe(error: &HttpError) -> String {
    let message = error.to_string();
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.len() < 512, "{message}");
    variant(error.kind())
}

fn variant(kind: &impl std::fmt::Debug) -> String {
    let kind = format!("{kind:?}");
    kind.split([' ', '{']).next().unwrap_or_default().to_owned()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return bytes,
            [b'\\', b'r', rest @ ..] => {
                bytes.push(b'\r');
                rest
            }
            [b'\\', b'n', rest @ ..] => {
                bytes.push(b'\n');
                rest
            }
            [b'\\', b't', rest @ ..] => {
                bytes.push(b'\t');
                rest
            }
            [b'\\', b'x', high, low, rest @ ..] => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        }
    }
}
