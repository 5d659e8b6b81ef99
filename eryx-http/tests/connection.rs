//! Tests of the rules that depend on both directions of a connection.

use eryx_http::{
    Connection, Event, HttpError, HttpErrorKind, Limits, Origin, RequestHead, ResponseHead, Scheme,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
const EXPECT: &str =
    "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                         Upgrade: WebSocket\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection, and the events of both directions in one line.
struct Script {
    connection: Connection,
    log: Vec<String>,
}

impl Script {
    fn new() -> Self {
        let origin = Origin::new(Scheme::Https, "a.example", 443);
        Self {
            connection: Connection::new(origin, Limits::default()),
            log: Vec::new(),
        }
    }

    fn request(&mut self, input: &str) -> Result<(), HttpError> {
        let mut rest = input.as_bytes();
        loop {
            let step = self.connection.request(rest)?;
            rest = &rest[step.consumed..];
            let Some(event) = step.event else {
                return Ok(());
            };
            self.log.push(match event {
                Event::Head(head) => RequestHead::method(&head).to_owned(),
                event => name("request", event),
            });
        }
    }

    fn response(&mut self, input: &str) -> Result<(), HttpError> {
        let mut rest = input.as_bytes();
        loop {
            let step = self.connection.response(rest)?;
            rest = &rest[step.consumed..];
            let Some(event) = step.event else {
                return Ok(());
            };
            self.log.push(match event {
                Event::Head(head) => ResponseHead::status(&head).to_string(),
                event => name("response", event),
            });
        }
    }

    fn log(&self) -> String {
        self.log.join(", ")
    }
}

fn name<H>(direction: &str, event: Event<H>) -> String {
    let event = match event {
        Event::Upgrade(protocols) => format!("upgrade {protocols}"),
        Event::Body(range) => format!("body {}", range.len()),
        Event::Trailers(fields) => format!("trailers {}", fields.len()),
        Event::End => "end".to_owned(),
        Event::Switched => "switched".to_owned(),
        Event::Raw(range) => format!("raw {}", range.len()),
        _ => "other".to_owned(),
    };
    format!("{direction} {event}")
}

fn kind(result: Result<(), HttpError>) -> HttpErrorKind {
    result.expect_err("it is refused").kind().clone()
}

#[test]
fn pipelined_requests_get_their_responses_in_order() {
    let mut script = Script::new();
    let head = GET.replace("GET", "HEAD");
    script.request(&format!("{GET}{head}{GET}")).expect("valid");
    assert_eq!(script.connection.requests_in_flight(), 3);
    // The second response has no body, because its request is HEAD.
    let no_body = OK.strip_suffix("ok").expect("a body");
    script
        .response(&format!("{OK}{no_body}{OK}"))
        .expect("valid");
    assert_eq!(
        script.log(),
        "GET, request end, HEAD, request end, GET, request end, 200, response body 2, \
         response end, 200, response end, 200, response body 2, response end"
    );
    assert_eq!(script.connection.requests_in_flight(), 0);
    assert_eq!(script.connection.on_client_eof(), Ok(()));
    assert_eq!(script.connection.on_server_eof(), Ok(None));
}

#[test]
fn the_seventeenth_request_without_an_answer_is_refused() {
    let mut script = Script::new();
    script.request(&GET.repeat(16)).expect("sixteen requests");
    script.response(OK).expect("valid");
    script.request(GET).expect("one was answered");
    let limit = Limits::MAX_PIPELINED;
    assert_eq!(
        kind(script.request("G")),
        HttpErrorKind::TooManyPipelined { limit }
    );
}

#[test]
fn interim_responses_precede_the_final_one() {
    let mut script = Script::new();
    script.request(EXPECT).expect("valid");
    script
        .response("HTTP/1.1 100 Continue\r\n\r\n")
        .expect("valid");
    script.request("abc").expect("the body may be sent");
    script.response(OK).expect("valid");
    assert_eq!(
        script.log(),
        "PUT, 100, request body 3, request end, 200, response body 2, response end"
    );
}

#[test]
fn endless_interim_responses_are_refused() {
    let mut script = Script::new();
    script.request(GET).expect("valid");
    let limit = Limits::MAX_INTERIM;
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    script
        .response(&interim.repeat(limit))
        .expect("as many as permitted");
    assert_eq!(
        kind(script.response(interim)),
        HttpErrorKind::TooManyInterim { limit }
    );
}

#[test]
fn an_answer_before_the_end_of_the_request_is_permitted() {
    let mut script = Script::new();
    script.request(POST).expect("valid");
    script.request("a").expect("valid");
    script.response(OK).expect("valid");
    script.request("bc").expect("the rest of the body");
    script.request(GET).expect("valid");
    script.response(OK).expect("valid");
    assert_eq!(script.connection.on_client_eof(), Ok(()));
}

#[test]
fn content_after_a_final_answer_instead_of_100_is_refused() {
    let mut script = Script::new();
    script.request(EXPECT).expect("valid");
    script
        .response("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        .expect("valid");
    assert_eq!(script.connection.on_client_eof(), Ok(()));
    assert_eq!(
        kind(script.request("abc")),
        HttpErrorKind::ContentAfterAnswer
    );
}

#[test]
fn content_after_100_continue_is_permitted_even_after_the_final_answer() {
    let mut script = Script::new();
    script.request(EXPECT).expect("valid");
    script
        .response("HTTP/1.1 100 Continue\r\n\r\n")
        .expect("valid");
    script.response(OK).expect("valid");
    script.request("abc").expect("the server asked for it");
}

#[test]
fn content_that_started_before_the_final_answer_may_continue() {
    let mut script = Script::new();
    script.request(EXPECT).expect("valid");
    script.request("a").expect("a client need not wait");
    script.response(OK).expect("valid");
    script.request("bc").expect("the rest of the body");
    script.request(GET).expect("valid");
}

#[test]
fn an_answer_between_two_events_of_a_request_does_not_affect_the_next_request() {
    let mut script = Script::new();
    let request = EXPECT.replace("Content-Length: 3\r\n", "");
    let step = script
        .connection
        .request(request.as_bytes())
        .expect("valid");
    assert!(matches!(step.event, Some(Event::Head(_))));
    script.response(OK).expect("valid");
    script.request("").expect("the end of the request");
    script.request(POST).expect("valid");
    script.request("abc").expect("its content");
}

#[test]
fn a_request_after_expect_without_content_is_permitted() {
    let mut script = Script::new();
    let request = EXPECT.replace("Content-Length: 3\r\n", "");
    script.request(&request).expect("valid");
    script.response(OK).expect("valid");
    script.request(&format!("{POST}abc")).expect("valid");
}

#[test]
fn bytes_after_a_response_that_no_request_asked_for_are_refused() {
    let mut script = Script::new();
    assert_eq!(
        kind(script.response("H")),
        HttpErrorKind::UnsolicitedResponse
    );
    let mut script = Script::new();
    script.request(GET).expect("valid");
    assert_eq!(
        kind(script.response(&OK.repeat(2))),
        HttpErrorKind::UnsolicitedResponse
    );
    // An error of a response is final, in both directions.
    assert_eq!(
        kind(script.response("")),
        HttpErrorKind::UnsolicitedResponse
    );
    assert_eq!(
        kind(script.request(GET)),
        HttpErrorKind::UnsolicitedResponse
    );
}

#[test]
fn requests_before_a_refused_one_get_their_responses() {
    let mut script = Script::new();
    script.request(GET).expect("valid");
    assert_eq!(kind(script.request("GET /\n")), HttpErrorKind::BareLf);
    script.response(OK).expect("valid");
    assert_eq!(
        script.log(),
        "GET, request end, 200, response body 2, response end"
    );
    assert_eq!(kind(script.request(GET)), HttpErrorKind::BareLf);
}

#[test]
fn a_request_after_the_last_one_is_refused() {
    let close = GET.replace("\r\n\r\n", "\r\nConnection: x, Close\r\n\r\n");
    let http10 = GET.replace("HTTP/1.1", "HTTP/1.0");
    for request in [close, http10] {
        let mut script = Script::new();
        script.request(&request).expect("valid");
        assert_eq!(kind(script.request("G")), HttpErrorKind::RequestAfterClose);
    }
}

#[test]
fn a_request_follows_only_one_after_which_every_server_keeps_the_connection_open() {
    for (version, fields, is_persistent) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "Connection: keep-alive\r\n", true),
        ("HTTP/1.1", "Connection: x, keep-alive\r\n", true),
        // nginx searches the field for `close`.
        ("HTTP/1.1", "Connection: X-Closed\r\n", false),
        ("HTTP/1.1", "Connection: \"close\"\r\n", false),
        (
            "HTTP/1.1",
            "Connection: x\r\nconnection: CLOSE;y\r\n",
            false,
        ),
        ("HTTP/1.1", "X-Connection: close\r\n", true),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        // `http.server` of Python compares the field with `keep-alive`.
        ("HTTP/1.0", "Connection: keep-alive, x\r\n", false),
        (
            "HTTP/1.0",
            "Connection: keep-alive\r\nConnection: x\r\n",
            false,
        ),
    ] {
        let request = GET.replace("HTTP/1.1", version);
        let request = request.replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
        let mut script = Script::new();
        script.request(&request).expect("valid");
        match script.request(GET) {
            Ok(_) => assert!(is_persistent, "{version} {fields}"),
            Err(error) => {
                assert_eq!(*error.kind(), HttpErrorKind::RequestAfterClose);
                assert!(!is_persistent, "{version} {fields}");
            }
        }
    }
}

#[test]
fn a_request_after_the_last_response_is_refused() {
    let mut script = Script::new();
    script.request(GET).expect("valid");
    let close = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    script.response(&close).expect("valid");
    assert_eq!(kind(script.request(GET)), HttpErrorKind::RequestAfterClose);
    let mut script = Script::new();
    script.request(&GET.repeat(2)).expect("valid");
    assert_eq!(
        kind(script.response(&close.repeat(2))),
        HttpErrorKind::BytesAfterClose
    );
}

#[test]
fn bytes_after_the_last_response_are_refused_in_every_split() {
    let close = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    for split in [close.len(), close.len() + 1] {
        let mut script = Script::new();
        script.request(&GET.repeat(2)).expect("valid");
        let responses = close.repeat(2);
        let (first, second) = responses.split_at(split);
        let error = script
            .response(first)
            .and_then(|()| script.response(second));
        assert_eq!(kind(error), HttpErrorKind::BytesAfterClose, "{split}");
    }
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let mut script = Script::new();
    script.request(GET).expect("valid");
    script
        .response("HTTP/1.1 200 OK\r\n\r\nabc")
        .expect("valid");
    assert_eq!(script.connection.on_server_eof(), Ok(Some(Event::End)));
    assert_eq!(script.log(), "GET, request end, 200, response body 3");
    assert_eq!(kind(script.request(GET)), HttpErrorKind::RequestAfterClose);
}

#[test]
fn a_connection_that_ends_without_an_answer_is_incomplete() {
    let mut script = Script::new();
    script.request(GET).expect("valid");
    let error = script.connection.on_server_eof().expect_err("no answer");
    assert_eq!(*error.kind(), HttpErrorKind::Incomplete);
}

#[test]
fn an_accepted_upgrade_ends_http_in_both_directions() {
    let mut script = Script::new();
    script.request(UPGRADE).expect("valid");
    script.response(&format!("{SWITCHING}\0\n")).expect("valid");
    assert!(script.connection.is_switched());
    script.request("\0\0\0").expect("not HTTP");
    assert_eq!(
        script.log(),
        "GET, request upgrade websocket, request end, 101, response switched, response raw 2, \
         request raw 3"
    );
}

#[test]
fn a_declined_upgrade_leaves_the_connection_http() {
    let mut script = Script::new();
    script.request(UPGRADE).expect("valid");
    script.response(OK).expect("valid");
    script.request(GET).expect("valid");
    script.response(OK).expect("valid");
    assert!(!script.connection.is_switched());
}

#[test]
fn bytes_behind_an_upgrade_wait_for_its_answer() {
    let mut script = Script::new();
    let error = script.request(&format!("{UPGRADE}{GET}"));
    assert_eq!(kind(error), HttpErrorKind::BytesAfterUpgrade);
}

#[test]
fn a_switch_that_the_request_did_not_offer_is_refused() {
    let other = SWITCHING.replace("WebSocket", "websocket, tls/1.0");
    let none = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    for (request, response) in [(GET, SWITCHING), (UPGRADE, &*other), (UPGRADE, none)] {
        let mut script = Script::new();
        script.request(request).expect("valid");
        assert_eq!(
            kind(script.response(response)),
            HttpErrorKind::UnexpectedUpgrade
        );
    }
    // The request is not complete.
    let mut script = Script::new();
    let request = UPGRADE
        .replace("GET", "POST")
        .replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n");
    script.request(&request).expect("valid");
    assert_eq!(
        kind(script.response(SWITCHING)),
        HttpErrorKind::UnexpectedUpgrade
    );
}

#[test]
fn the_bytes_that_are_announced_as_content_are_the_body() {
    let chunked = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, framing, content) in [
        (POST, "", 3),
        (chunked, "3\r\n", 3),
        (GET, "", 0),
        (EXPECT, "", 3),
    ] {
        let mut script = Script::new();
        script.request(head).expect("valid");
        script.request(framing).expect("valid");
        let connection = &mut script.connection;
        assert_eq!(connection.request_content(), content, "{head}");
        if content > 0 {
            // Whatever they are.
            let step = connection.request(b"\0\r\nPOST").expect("content");
            assert_eq!(step.event, Some(Event::Body(0..3)), "{head}");
            assert_eq!(connection.request_content(), 0, "{head}");
        }
    }
}

#[test]
fn no_content_is_announced_after_an_error_or_a_refusal_of_the_body() {
    let mut script = Script::new();
    script.request(EXPECT).expect("valid");
    assert_eq!(script.connection.request_content(), 3);
    script.response(OK).expect("valid");
    assert_eq!(script.connection.request_content(), 0);
    let mut script = Script::new();
    script.request(POST).expect("valid");
    script.response("no response\r\n").expect_err("malformed");
    assert_eq!(script.connection.request_content(), 0);
    assert_eq!(script.connection.response_content(), 0);
}

#[test]
fn the_content_of_a_response_is_announced_in_each_framing() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n";
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    for (response, content) in [
        (length, 2),
        (chunked, 2),
        ("HTTP/1.1 200 OK\r\n\r\n", u64::MAX),
        ("HTTP/1.1 204 No Content\r\n\r\n", 0),
        (OK, 0),
    ] {
        let mut script = Script::new();
        script.request(GET).expect("valid");
        script.response(response).expect("valid");
        assert_eq!(script.connection.response_content(), content, "{response}");
    }
}

#[test]
fn heads_of_responses_can_have_another_limit_than_those_of_requests() {
    let limits = |head| Limits::default().head_bytes(head).expect("in range");
    let origin = Origin::new(Scheme::Https, "a.example", 443);
    let mut connection = Connection::new(origin, limits(200)).with_response_limits(limits(60));
    let field = format!("A: {}\r\n", "b".repeat(100));
    connection
        .request(
            GET.replace("\r\n\r\n", &format!("\r\n{field}\r\n"))
                .as_bytes(),
        )
        .expect("short enough");
    let response = OK.replace("\r\n\r\n", &format!("\r\n{field}\r\n"));
    let error = connection
        .response(response.as_bytes())
        .expect_err("too long");
    assert_eq!(*error.kind(), HttpErrorKind::HeadTooLarge { limit: 60 });
}
