//! Measures the scrubber on streams without a secret and on hostile ones, and the parsers on the
//! heads of a keep-alive request.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use eryx_http::{AnsweredRequest, Event, Limits, Origin, RequestParser, ResponseParser, Scheme};
use eryx_http::{Scrubber, ScrubberPatterns};

/// The length of what one read returns.
const PIECE_BYTES: usize = 16 << 10;
const STREAM_BYTES: usize = 1 << 20;
const SECRET_BYTES: usize = 40;

const REQUEST: &str = "GET /repos/acme/widgets/issues?state=open&per_page=50 HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: python-requests/2.34.0\r\n\
    Accept: application/vnd.github+json\r\n\
    Accept-Encoding: identity\r\n\
    Accept-Language: en\r\n\
    Authorization: Bearer eryx-secret-0123456789abcdef0123456789abcdef\r\n\
    Cache-Control: no-cache\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    If-None-Match: \"0123456789abcdef0123456789abcdef\"\r\n\
    X-GitHub-Api-Version: 2022-11-28\r\n\
    X-Request-Id: 01234567-89ab-cdef-0123-456789abcdef\r\n\
    \r\n";

const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\
    Date: Mon, 01 Jun 2026 12:00:00 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 0\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: private, max-age=60, s-maxage=60\r\n\
    ETag: \"0123456789abcdef0123456789abcdef\"\r\n\
    Link: <https://api.example.com/repos/1/issues?page=2>; rel=\"next\"\r\n\
    Server: nginx\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubdomains\r\n\
    Vary: Accept, Authorization, Cookie\r\n\
    X-RateLimit-Remaining: 4999\r\n\
    X-Request-Id: 01234567-89ab-cdef-0123-456789abcdef\r\n\
    \r\n";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    streams(&mut criterion);
    heads(&mut criterion);
    criterion.final_summary();
}

fn streams(criterion: &mut Criterion) {
    let streams = [
        ("random", random(STREAM_BYTES)),
        ("text", text(STREAM_BYTES)),
    ];
    for count in [1, 2, 4, 8] {
        for (kind, secrets) in [
            ("secrets", secrets(count)),
            ("secrets with one prefix", with_prefix(&secrets(count))),
        ] {
            let mut group = criterion.benchmark_group(format!("scrubber/{count} {kind}"));
            group.throughput(Throughput::Bytes(STREAM_BYTES as u64));
            let patterns = patterns(&secrets);
            for (name, stream) in &streams {
                group.bench_function(*name, |b| scrub(b, patterns.scrubber(), stream));
            }
            // Every byte is part of a prefix of a secret, or of a secret.
            let prefix = &secrets[0][..SECRET_BYTES - 1];
            let prefixes: Vec<u8> = prefix.iter().copied().cycle().take(STREAM_BYTES).collect();
            group.bench_function("prefixes", |b| scrub(b, patterns.scrubber(), &prefixes));
            let whole: Vec<u8> = secrets[0]
                .iter()
                .copied()
                .cycle()
                .take(STREAM_BYTES)
                .collect();
            group.bench_function("secrets", |b| scrub(b, patterns.scrubber(), &whole));
            group.finish();
        }
    }
}

fn scrub(bencher: &mut criterion::Bencher<'_>, mut scrubber: Scrubber, stream: &[u8]) {
    let mut output = Vec::with_capacity(2 * PIECE_BYTES);
    bencher.iter(|| {
        for piece in stream.chunks(PIECE_BYTES) {
            output.clear();
            scrubber.push(black_box(piece), &mut output);
            black_box(&output);
        }
        scrubber.finish(&mut output);
    });
}

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    let origin = Origin::new(Scheme::Https, "api.example.com", 443);
    let mut requests = RequestParser::new(origin, Limits::default());
    let mut output = Vec::new();
    group.bench_function("request", |b| {
        b.iter(|| {
            let step = requests
                .advance(black_box(REQUEST.as_bytes()))
                .expect("valid");
            let Some(Event::Head(head)) = step.event else {
                panic!("a head");
            };
            output.clear();
            head.write(&mut output);
            assert_eq!(
                requests.advance(b"").expect("valid").event,
                Some(Event::End)
            );
            output.len()
        });
    });
    let mut responses = ResponseParser::new(Limits::default());
    group.bench_function("response", |b| {
        b.iter(|| {
            responses.expect_response_to(AnsweredRequest::Other);
            let step = responses
                .advance(black_box(RESPONSE.as_bytes()))
                .expect("valid");
            let Some(Event::Head(head)) = step.event else {
                panic!("a head");
            };
            output.clear();
            head.write(&mut output);
            assert_eq!(
                responses.advance(b"").expect("valid").event,
                Some(Event::End)
            );
            output.len()
        });
    });
    group.finish();
}

fn patterns(secrets: &[Vec<u8>]) -> ScrubberPatterns {
    let pairs = secrets
        .iter()
        .map(|secret| (secret, vec![b'*'; secret.len()]));
    ScrubberPatterns::new(pairs).expect("valid pairs")
}

/// Returns secrets of random letters and digits.
fn secrets(count: usize) -> Vec<Vec<u8>> {
    const CHARACTERS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    random(count * SECRET_BYTES)
        .chunks(SECRET_BYTES)
        .map(|bytes| {
            bytes
                .iter()
                .map(|b| CHARACTERS[usize::from(b % 64)])
                .collect()
        })
        .collect()
}

fn with_prefix(secrets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    secrets
        .iter()
        .map(|secret| [b"ghp_", &secret[4..]].concat())
        .collect()
}

fn random(length: usize) -> Vec<u8> {
    // The generator of Marsaglia, 2003: xorshift.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).expect("8 bits")
    };
    (0..length).map(|_| next()).collect()
}

/// Returns JSON with words in English.
fn text(length: usize) -> Vec<u8> {
    let issue = r#"{"id": 4711, "title": "The parser accepts a bare line feed", "state": "open",
 "user": {"login": "octocat", "url": "https://api.example.com/users/octocat"}, "labels": ["bug"],
 "body": "A message whose lines end in a line feed is accepted, although the standard says that a
 recipient should not treat it as the end of a line. Other servers disagree about such a message.",
 "created_at": "2026-06-01T12:00:00Z", "sha": "0123456789abcdef0123456789abcdef01234567"}, "#;
    issue.bytes().cycle().take(length).collect()
}
