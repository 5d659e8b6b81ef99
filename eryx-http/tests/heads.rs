//! Tests of what a head says about its message.

use eryx_http::{
    AnsweredRequest, Event, Framing, HttpErrorKind, Limits, Origin, RequestHead, RequestParser,
    ResponseHead, ResponseParser, Scheme, Version,
};

fn request(line: &str, fields: &str) -> RequestHead {
    let origin = Origin::new(Scheme::Https, "a.example", 443);
    let input = format!("{line}\r\nHost: a.example\r\n{fields}\r\n");
    let step = RequestParser::new(origin, Limits::default()).advance(input.as_bytes());
    match step.expect("valid").event {
        Some(Event::Head(head)) => *head,
        other => panic!("no head: {other:?}"),
    }
}

fn response(request: AnsweredRequest, input: &str) -> ResponseHead {
    let mut parser = ResponseParser::new(Limits::default());
    parser.expect_response_to(request);
    match parser.advance(input.as_bytes()).expect("valid").event {
        Some(Event::Head(head)) => *head,
        other => panic!("no head: {other:?}"),
    }
}

#[test]
fn the_path_and_query_of_a_target_has_no_scheme_and_host() {
    for (target, expected) in [
        ("/", "/"),
        ("/a?b", "/a?b"),
        ("//a.example/b", "//a.example/b"),
        ("/x?y=https://b.example/z", "/x?y=https://b.example/z"),
        ("https://a.example/b?c", "/b?c"),
        ("https://a.example?c", "/?c"),
        ("https://a.example?c/d", "/?c/d"),
        ("https://a.example:443", "/"),
    ] {
        let head = request(&format!("GET {target} HTTP/1.1"), "");
        assert_eq!(head.path_and_query(), expected, "{target}");
        assert_eq!(head.target(), target);
    }
    assert_eq!(request("OPTIONS * HTTP/1.1", "").path_and_query(), "*");
}

#[test]
fn a_request_head_describes_its_message() {
    let fields = "Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\nUpgrade: a/1,, b\r\n";
    let head = request("POST / HTTP/1.1", fields);
    assert_eq!((head.method(), head.version()), ("POST", Version::Http11));
    assert_eq!(head.framing(), Framing::Chunked);
    assert!(head.is_persistent() && head.expects_continue());
    assert_eq!(head.upgrade(), Some("a/1, b"));
    let head = request("PUT / HTTP/1.0", "Content-Length: 007\r\n");
    assert_eq!((head.method(), head.version()), ("PUT", Version::Http10));
    assert_eq!(head.framing(), Framing::Length(7));
    assert!(!head.is_persistent() && !head.expects_continue());
    assert_eq!(head.upgrade(), None);
    assert_eq!(request("POST / HTTP/1.1", "").framing(), Framing::Empty);
    let max = request("POST / HTTP/1.1", "Content-Length: 9223372036854775807\r\n");
    assert_eq!(max.framing(), Framing::Length(i64::MAX as u64));
}

#[test]
fn a_head_without_its_expectation_is_the_same_but_for_that_field() {
    let length = "Content-Length: 3\r\n";
    let expect = "Expect: 100-continue\r\n";
    let mut head = request("POST / HTTP/1.1", &format!("{expect}{length}"));
    assert!(head.remove_expectation());
    assert!(!head.expects_continue());
    assert!(!head.remove_expectation());
    assert_eq!(head, request("POST / HTTP/1.1", length));
    let mut bytes = Vec::new();
    head.write(&mut bytes);
    assert_eq!(head.len(), bytes.len());
    assert!(!bytes.windows(6).any(|window| window == b"Expect"));
}

#[test]
fn the_framing_of_a_response_depends_on_its_request_and_status() {
    use AnsweredRequest::{Connect, Head, Other};
    let length = "Content-Length: 3\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (request, status, fields, framing, is_persistent) in [
        (Other, 200, length, Framing::Length(3), true),
        (Other, 200, chunked, Framing::Chunked, true),
        (Other, 200, "", Framing::UntilClose, false),
        (Other, 204, "", Framing::Empty, true),
        (Other, 304, length, Framing::Empty, true),
        (Other, 304, chunked, Framing::Empty, true),
        (Other, 100, "", Framing::Empty, true),
        (Head, 200, length, Framing::Empty, true),
        (Head, 200, "", Framing::Empty, true),
        (Head, 404, chunked, Framing::Empty, true),
        (Connect, 200, "", Framing::Empty, true),
        (Connect, 200, length, Framing::Empty, true),
        (Connect, 403, length, Framing::Length(3), true),
        (
            Other,
            200,
            "Content-Length: 3\r\nConnection: close\r\n",
            Framing::Length(3),
            false,
        ),
    ] {
        let head = response(request, &format!("HTTP/1.1 {status} x\r\n{fields}\r\n"));
        let case = format!("{request:?} {status} {fields}");
        assert_eq!(head.framing(), framing, "{case}");
        assert_eq!(head.is_persistent(), is_persistent, "{case}");
        assert_eq!((head.status(), head.reason()), (status, &b"x"[..]));
        assert_eq!(head.is_interim(), status == 100);
    }
}

#[test]
fn an_accepted_connect_makes_the_connection_a_tunnel() {
    let mut parser = ResponseParser::new(Limits::default());
    parser.expect_response_to(AnsweredRequest::Connect);
    let step = parser
        .advance(b"HTTP/1.1 200 OK\r\n\r\n\x16\x03")
        .expect("valid");
    assert!(matches!(step.event, Some(Event::Head(_))));
    assert_eq!(
        parser.advance(b"\x16\x03").expect("valid").event,
        Some(Event::Switched)
    );
    let step = parser.advance(b"\x16\x03").expect("not HTTP");
    assert_eq!((step.forward, step.event), (2, Some(Event::Raw(0..2))));
    assert!(parser.is_switched());
}

/// Returns what is written of `head`, after checking that it is parsed as the same head.
fn written(head: &RequestHead) -> String {
    let mut output = Vec::new();
    head.write(&mut output);
    let origin = Origin::new(Scheme::Https, "a.example", 443);
    let step = RequestParser::new(origin, Limits::default()).advance(&output);
    let Some(Event::Head(parsed)) = step.expect("valid").event else {
        panic!("a head");
    };
    assert_eq!(parsed.framing(), head.framing());
    assert_eq!(parsed.path_and_query(), head.path_and_query());
    assert_eq!(*parsed, *head);
    String::from_utf8(output).expect("ASCII")
}

#[test]
fn a_query_is_replaced_without_a_change_of_the_path_and_the_fields() {
    for (target, query, expected) in [
        ("/a?b=c", Some("d=e&f"), "/a?d=e&f"),
        ("/a?b", None, "/a"),
        ("/a", Some("b"), "/a?b"),
        ("/a", Some(""), "/a?"),
        ("/a?", None, "/a"),
        ("/a?b?c", Some("?"), "/a??"),
        ("/a", None, "/a"),
        ("https://a.example", Some("b"), "https://a.example?b"),
        ("https://a.example/x?y", Some("z"), "https://a.example/x?z"),
    ] {
        let mut head = request(&format!("GET {target} HTTP/1.1"), "X: y\r\nZ:\t \r\n");
        head.fields_mut().set("x", b"w").expect("valid");
        head.set_query(query).expect("valid");
        assert_eq!(head.target(), expected);
        let fields = "Host: a.example\r\nx: w\r\nZ:\t \r\n\r\n";
        assert_eq!(
            written(&head),
            format!("GET {expected} HTTP/1.1\r\n{fields}")
        );
    }
}

#[test]
fn a_query_that_would_break_the_request_is_refused() {
    let mut head = request("GET /a?b HTTP/1.1", "");
    let before = head.clone();
    for query in ["c d", "c\r\nX: y", "c#d", "\u{e9}", "\0", "\x7f"] {
        let error = head.set_query(Some(query)).expect_err(query);
        assert_eq!(*error.kind(), HttpErrorKind::TargetByte, "{query:?}");
    }
    // All but the old query counts, so that the longest query makes a head of the limit.
    let limit = Limits::MAX_HEAD_BYTES;
    let length = limit - written(&head).len() + 1;
    let error = head.set_query(Some(&"c".repeat(length + 1)));
    let kind = error.expect_err("too long").kind().clone();
    assert_eq!(kind, HttpErrorKind::HeadTooLarge { limit });
    assert_eq!(head, before);
    head.set_query(Some(&"c".repeat(length))).expect("it fits");
    assert_eq!(written(&head).len(), limit);
    let mut asterisk = request("OPTIONS * HTTP/1.1", "");
    let error = asterisk.set_query(Some("a")).expect_err("no query");
    assert_eq!(*error.kind(), HttpErrorKind::Asterisk);
    asterisk.set_query(None).expect("there is none");
    assert_eq!(asterisk.target(), "*");
}

#[test]
fn a_content_length_is_replaced_by_one_field() {
    let fields = "content-length: 03\r\nx: y\r\n";
    let mut head = request("POST / HTTP/1.1", fields);
    for length in [4, 0, i64::MAX as u64] {
        head.set_content_length(length).expect("valid");
        assert_eq!(head.framing(), Framing::Length(length));
        let fields = format!("Host: a.example\r\nContent-Length: {length}\r\nx: y\r\n\r\n");
        assert_eq!(written(&head), format!("POST / HTTP/1.1\r\n{fields}"));
    }
    let before = head.clone();
    let error = head.set_content_length(1 << 63).expect_err("too large");
    assert_eq!(*error.kind(), HttpErrorKind::ContentLength);
    assert_eq!(head, before);
}

#[test]
fn a_content_length_is_only_set_for_a_body_that_has_a_length() {
    for (line, fields, kind) in [
        ("POST / HTTP/1.1", "", HttpErrorKind::ProtectedField),
        (
            "POST / HTTP/1.1",
            "Transfer-Encoding: chunked\r\n",
            HttpErrorKind::ProtectedField,
        ),
        (
            "GET / HTTP/1.1",
            "Content-Length: 0\r\n",
            HttpErrorKind::UnexpectedContent,
        ),
    ] {
        let mut head = request(line, fields);
        let before = head.clone();
        let error = head.set_content_length(1).expect_err(fields);
        assert_eq!(*error.kind(), kind, "{line} {fields}");
        assert_eq!(
            (written(&head), head.framing()),
            (written(&before), before.framing())
        );
    }
}

#[test]
fn debug_output_of_a_head_has_no_values() {
    let head = request("GET / HTTP/1.1", "Authorization: hunter2\r\n");
    assert!(!format!("{head:?}").contains("hunter2"));
}
