//! Tests of what a head says about its message.

use eryx_http::{
    AnsweredRequest, Event, Framing, Limits, Origin, RequestHead, RequestParser, ResponseHead,
    ResponseParser, Scheme, Version,
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
    parser.expect(request);
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
    parser.expect(AnsweredRequest::Connect);
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

#[test]
fn debug_output_of_a_head_has_no_values() {
    let head = request("GET / HTTP/1.1", "Authorization: hunter2\r\n");
    assert!(!format!("{head:?}").contains("hunter2"));
}
