//! What programs send: the vectors of `eryx-http`, and requests that hide others in their bodies.

use eryx_http::Scheme;

use crate::exchange::NAME;
use crate::origin::find;

/// A request that no rule allows, wherever it is hidden. Its parameter is forbidden.
pub(crate) const SMUGGLED: &str = "DELETE /?smuggled=1 HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// A request that is allowed.
pub(crate) const ALLOWED: &str =
    "PUT /next HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nnext";

/// The forbidden parameter of [`SMUGGLED`].
pub(crate) const FORBIDDEN: &str = "smuggled";

/// A vector of `eryx-http/tests/vectors/requests.tsv`.
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    /// How many requests are complete, or `None` if one is refused.
    pub(crate) complete: Option<usize>,
    pub(crate) input: Vec<u8>,
}

/// Returns the vectors as they are in the file, for the origin `https://a.example`.
pub(crate) fn vectors() -> Vec<Vector> {
    let table = include_str!("../../../eryx-http/tests/vectors/requests.tsv");
    let rows = table.lines().skip(1).map(|row| {
        let fields: Vec<&str> = row.split('\t').collect();
        let &[name, expected, input] = &fields[..] else {
            panic!("three fields: {row}");
        };
        Vector {
            name,
            complete: expected
                .strip_prefix("ok ")
                .map(|count| count.parse().expect("a number")),
            input: unescape(input),
        }
    });
    rows.collect()
}

/// Returns the bytes of a text with `\r`, `\n`, `\t` and `\x00`.
fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, length) = match part.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            _ => (u8::from_str_radix(&part[1..3], 16).expect("two digits"), 3),
        };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[length..]);
    }
    bytes
}

/// Returns a request for the origin `https://a.example` as one for an origin on an ephemeral port.
///
/// `a.example`, with and without its port 443, becomes a name and port of the same length, and
/// `https` becomes `http` where the origin has no TLS.
pub(crate) fn readdress(input: &[u8], scheme: Scheme, port: u16) -> Vec<u8> {
    let authority = format!("{NAME}:{port}");
    assert_eq!(authority.len(), "a.example".len(), "lengths stay correct");
    let mut bytes = input.to_vec();
    let mut replace = |from: &str, to: &str| {
        let mut at = 0;
        while let Some(found) = find(&bytes[at..], from.as_bytes()) {
            bytes.splice(at + found..at + found + from.len(), to.bytes());
            at += found + to.len();
        }
    };
    replace("a.example:443", &authority);
    replace("a.example:", &format!("{NAME}:"));
    replace("a.example", &authority);
    replace("A.EXAMPLE", &authority.to_ascii_uppercase());
    if scheme == Scheme::Http {
        replace("http://", "other://");
        replace("https://", "http://");
        replace("HTTPS://", "HTTP://");
    }
    bytes
}

/// Returns requests with [`SMUGGLED`] in their bodies or in their fields. They are well-formed, or
/// nearly so: they differ in what servers parse differently.
pub(crate) fn carriers() -> Vec<(String, Vec<u8>)> {
    let mut carriers = Vec::new();
    let mut add = |name: &str, request: String| carriers.push((name.to_owned(), request.into()));
    let post = |fields: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n{body}")
    };
    let size = SMUGGLED.len();
    for spelling in LENGTHS {
        let field = spelling.replace("{}", &size.to_string());
        add(&field, post(&format!("{field}\r\n"), SMUGGLED));
    }
    for spelling in CODINGS {
        for size in [
            format!("{size:x}"),
            format!("{size:X}"),
            format!("00{size:x}"),
            format!("{size:016x}"),
        ] {
            for trailers in [
                "",
                "x: y\r\n",
                "x:\r\ny:  z \r\n",
                "x: DELETE / HTTP/1.1\r\n",
            ] {
                add(
                    &format!("{spelling} {size} {trailers}"),
                    post(
                        &format!("{spelling}\r\n"),
                        &format!("{size}\r\n{SMUGGLED}\r\n0\r\n{trailers}\r\n"),
                    ),
                );
            }
        }
        // The size of a chunk that a server which ignores the coding takes for a request line.
        add(
            &format!("{spelling} two chunks"),
            post(
                &format!("{spelling}\r\n"),
                &format!("1\r\nG\r\n{size:x}\r\n{SMUGGLED}\r\n000\r\n\r\n"),
            ),
        );
    }
    for fields in FIELDS {
        let length = format!("{fields}\r\nContent-Length: {size}\r\n");
        add(&format!("{fields} with a length"), post(&length, SMUGGLED));
        let chunks = format!("{size:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
        let coding = format!("Transfer-Encoding: chunked\r\n{fields}\r\n");
        add(&format!("{fields} with chunks"), post(&coding, &chunks));
        add(
            &format!("{fields} without a body"),
            post(&format!("{fields}\r\n"), ""),
        );
        let get = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n");
        add(&format!("{fields} of GET"), get);
        let old = format!("GET / HTTP/1.0\r\nHost: a.example\r\n{fields}\r\n\r\n");
        add(&format!("{fields} of HTTP/1.0"), old);
    }
    for method in METHODS {
        for (name, fields, body) in [
            ("without a body", String::new(), ""),
            (
                "with a length",
                format!("Content-Length: {size}\r\n"),
                SMUGGLED,
            ),
        ] {
            let request = format!("{method} / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n{body}");
            add(&format!("{method} {name}"), request);
        }
    }
    for target in TARGETS {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {size}\r\n\r\n{SMUGGLED}"
        );
        add(target, request);
    }
    for fields in [
        "",
        "Connection: keep-alive\r\n",
        "Connection: Keep-Alive\r\n",
    ] {
        let request = format!(
            "POST / HTTP/1.0\r\nHost: a.example\r\n{fields}Content-Length: {size}\r\n\r\n{SMUGGLED}"
        );
        add(&format!("HTTP/1.0 {fields}"), request);
    }
    carriers
}

const LENGTHS: [&str; 17] = [
    "Content-Length: {}",
    "content-length:{}",
    "CONTENT-LENGTH:   {}",
    "Content-Length:\t{}",
    "Content-Length: \t {}",
    "Content-Length: {} ",
    "Content-Length: {}\t",
    "Content-Length: {}   ",
    "Content-Length: 0{}",
    "Content-Length: 00000000000000000000000000000000000000{}",
    "Content-Length: {}\r\nContent-Length: {}",
    "Content-Length: {}\r\nContent-Length: 0{}",
    "Content-Length: {}\r\nX: Content-Length: 0",
    "X: y\r\nContent-Length: {}\r\nX-Content-Length: 0",
    "Content-Length: {}\r\nContent-Length-: 0",
    "Content-Length: {}\r\nContent.Length: 0",
    "Content-Length: {}\r\nTransfer.Encoding: chunked",
];

const CODINGS: [&str; 9] = [
    "Transfer-Encoding: chunked",
    "transfer-encoding:chunked",
    "Transfer-Encoding: CHUNKED",
    "Transfer-Encoding:  chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \tchunked",
    "Transfer-Encoding: chunked ",
    "Transfer-Encoding: chunked\t",
    "Transfer-Encoding: chunked \t ",
];

const FIELDS: [&str; 42] = [
    "Connection: keep-alive",
    "Connection: close",
    "Connection: Close",
    "Connection: closed",
    "Connection: x-close-x",
    "Connection: keep-alive, close",
    "Connection: close, keep-alive",
    "Connection: close\r\nConnection: keep-alive",
    "Connection: keep-alive\r\nConnection: close",
    "Connection: x-keep-alive",
    "Connection: keep-alive, x",
    "Connection: ,close",
    "Connection: close;x=y",
    "Connection: \"close\"",
    "Connection:\tclose",
    "Connection: close\t",
    "Connection: close ",
    "Connection: keep-alive ",
    "Connection:",
    "Connection: upgrade",
    "Connection: te, x",
    "Proxy-Connection: close",
    "Keep-Alive: timeout=0, max=1",
    "Expect: 100-continue",
    "Expect: 100-Continue",
    "Expect:\t100-continue",
    "Expect: 100-continue ",
    "Expect:",
    "Upgrade: websocket",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Upgrade:",
    "Upgrade: ,",
    "Upgrade: TLS/1.0\r\nConnection: upgrade",
    "TE: chunked",
    "TE: trailers, chunked\r\nConnection: TE",
    "Trailer: Content-Length",
    "Content-Encoding: chunked",
    "X-HTTP-Method-Override: DELETE",
    "X: \u{85}y",
    "X: \u{a0}y\u{2028}z",
    "From : x",
    "X:y:z\r\nA!#$%&'*+-.^_`|~9: b",
];

const METHODS: [&str; 15] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "M-SEARCH", "A_B", "get",
    "Head", "post", "P0ST", "G!",
];

const TARGETS: [&str; 25] = [
    "/",
    "//",
    "///x",
    "/x//y",
    "/?",
    "/?x",
    "/?x?y",
    "/a?b=/../c",
    "/a?b=%zz",
    "/x%20y",
    "/%3fx",
    "/%23x",
    "/x;y=z",
    "/;",
    "/:80",
    "/@b.example",
    "/http://b.example/",
    "//b.example/",
    "/\"<>[]^`{|}'",
    "/HTTP/1.1",
    "https://a.example/x",
    "HTTPS://A.EXAMPLE/x?y",
    "https://a.example",
    "https://a.example?x",
    "https://a.example//x",
];
