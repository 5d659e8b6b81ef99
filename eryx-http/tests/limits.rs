//! Tests of the limits on heads, and of the events' ranges.

use eryx_http::{
    AnsweredRequest, Event, HttpErrorKind, Limits, Origin, RequestParser, ResponseParser, Scheme,
};

fn requests(limits: Limits) -> RequestParser {
    RequestParser::new(Origin::new(Scheme::Http, "a.example", 80), limits)
}

/// Returns a request whose head has `bytes` bytes, in fields of at most 1 KiB.
fn request(bytes: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a.example\r\n".to_vec();
    while bytes - head.len() > 2048 {
        head.extend_from_slice(format!("x: {}\r\n", "y".repeat(1019)).as_bytes());
    }
    let rest = bytes - head.len() - "x: \r\n\r\n".len();
    head.extend_from_slice(format!("x: {}\r\n\r\n", "y".repeat(rest)).as_bytes());
    assert_eq!(head.len(), bytes);
    head
}

#[test]
fn a_head_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() {
    for limit in [Limits::MAX_HEAD_BYTES, 5000] {
        let limits = Limits::default().head_bytes(limit).expect("in range");
        let step = requests(limits).advance(&request(limit)).expect("valid");
        assert!(matches!(step.event, Some(Event::Head(_))));
        let error = requests(limits)
            .advance(&request(limit + 1))
            .expect_err("too large");
        assert_eq!(*error.kind(), HttpErrorKind::HeadTooLarge { limit });
    }
}

#[test]
fn a_head_with_as_many_fields_as_the_limit_is_accepted_and_one_more_is_not() {
    for limit in [Limits::MAX_FIELDS, 5] {
        let limits = Limits::default().fields(limit).expect("in range");
        let head = |fields: usize| {
            let fields = "x: y\r\n".repeat(fields - 1);
            format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n").into_bytes()
        };
        requests(limits).advance(&head(limit)).expect("valid");
        let error = requests(limits)
            .advance(&head(limit + 1))
            .expect_err("too many");
        assert_eq!(*error.kind(), HttpErrorKind::TooManyFields { limit });
    }
}

#[test]
fn trailers_have_the_limits_of_heads() {
    let limits = Limits::default()
        .fields(3)
        .expect("in range")
        .head_bytes(100)
        .expect("in range");
    for (trailers, kind) in [
        (
            "x: y\r\n".repeat(4),
            HttpErrorKind::TooManyFields { limit: 3 },
        ),
        ("x".repeat(200), HttpErrorKind::HeadTooLarge { limit: 100 }),
    ] {
        let mut parser = requests(limits);
        let head = b"PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        parser.advance(head).expect("valid");
        let error = parser
            .advance(format!("0\r\n{trailers}").as_bytes())
            .expect_err("too many");
        assert_eq!(*error.kind(), kind);
    }
}

#[test]
fn chunk_extensions_of_a_response_are_bounded_in_total() {
    let limit = Limits::MAX_CHUNK_EXTENSION_BYTES;
    let mut parser = ResponseParser::new(Limits::default());
    parser.expect_response_to(AnsweredRequest::Other);
    parser
        .advance(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("valid");
    let chunk = format!("1;{}\r\na\r\n", "x".repeat(limit / 2));
    let body = chunk.repeat(3);
    let mut rest = body.as_bytes();
    let error = loop {
        match parser.advance(rest) {
            Ok(step) => rest = &rest[step.consumed..],
            Err(error) => break error,
        }
    };
    assert_eq!(
        *error.kind(),
        HttpErrorKind::ChunkExtensionTooLong { limit }
    );
    assert_eq!(rest.len(), chunk.len() + 2, "two chunks were accepted");
}

#[test]
fn limits_cannot_be_zero_or_above_the_maximum() {
    let limits = Limits::default();
    assert!(limits.head_bytes(0).is_err());
    assert!(limits.fields(Limits::MAX_FIELDS + 1).is_err());
    let error = limits.pipelined(17).expect_err("above the maximum");
    assert_eq!(
        error.to_string(),
        "pipelined is 17; set it to a number from 1 to 16"
    );
}

#[test]
fn trailers_are_kept_and_the_bytes_before_them_can_be_forwarded() {
    let mut parser = requests(Limits::default());
    let head = b"PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let step = parser.advance(head).expect("valid");
    assert_eq!((step.consumed, step.forward), (head.len(), 0));
    let step = parser.advance(b"3\r\nabc\r\n0\r\nx: y\r\n").expect("valid");
    assert_eq!(
        (step.consumed, step.forward, step.event),
        (6, 6, Some(Event::Body(3..6)))
    );
    let step = parser.advance(b"\r\n0\r\nx: y\r\n").expect("valid");
    assert_eq!((step.consumed, step.forward, step.event), (11, 5, None));
    let step = parser.advance(b"\r\nGET").expect("valid");
    assert_eq!((step.consumed, step.forward), (2, 0));
    let Some(Event::Trailers(fields)) = step.event else {
        panic!("trailers");
    };
    let mut output = Vec::new();
    fields.write(&mut output);
    assert_eq!(output, b"x: y\r\n\r\n");
    assert_eq!(
        parser.advance(b"GET").expect("valid").event,
        Some(Event::End)
    );
}

#[test]
fn an_error_names_the_text_and_the_correction() {
    for (input, message) in [
        (
            "GET / HTTP/1.1\r\nHost: b.example\x1b\r\n\r\n",
            "HTTP message refused at `Host`: the value of the field has a control character \
             (RFC 9110, 5.5); remove it",
        ),
        (
            "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n",
            "HTTP message refused at `b.example`: `Host` is not `a.example`, which the connection \
             is for (RFC 9110, 7.2); correct it, or open another connection",
        ),
        (
            "GET / HTTP/1.1\r\n\r\n",
            "HTTP message refused: the request has no `Host` (RFC 9112, 3.2); add one",
        ),
    ] {
        let mut parser = requests(Limits::default());
        let error = parser.advance(input.as_bytes()).expect_err("refused");
        assert_eq!(error.to_string(), message);
        assert_eq!(parser.advance(b""), Err(error), "an error is final");
    }
}

#[test]
fn an_error_of_a_response_is_final() {
    let mut parser = ResponseParser::new(Limits::default());
    parser.expect_response_to(AnsweredRequest::Other);
    let error = parser.advance(b"HTTP/1.1 200 OK\n").expect_err("a bare LF");
    let valid = b"HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(parser.advance(valid), Err(error.clone()));
    assert_eq!(parser.finish(), Err(error));
}
